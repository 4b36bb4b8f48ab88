// Earlier versions of a served model, and the way back to one.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace yiti {

struct ModelVersion {
  int64_t number = 0;  ///< higher ones are newer
  int64_t created_unix_s = 0;
  bool is_served = false;
};

/// What keeps versions of the models that it serves. Thread-safe.
class ModelVersions {
 public:
  virtual ~ModelVersions() = default;
  /// Oldest first; empty where it keeps none of a model of this name.
  virtual std::vector<ModelVersion> versions(std::string_view name) = 0;
  /// Serves a version in place of the one that is served, which requests under way keep. Throws
  /// kNotFound where it does not keep that one.
  virtual void serve_version(std::string_view name, int64_t number) = 0;
};

}  // namespace yiti
