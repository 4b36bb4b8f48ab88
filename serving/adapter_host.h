// Adapters that are loaded and unloaded by requests; what runs models implements it.
#pragma once

#include <string>

#include "serving/model_versions.h"

namespace yiti {

/// Thread-safe. Each load of a name is a version of it.
class AdapterHost : public ModelVersions {
 public:
  /// Serves the adapter in folder `path` as `name`. `replace`: in place of the one of that name,
  /// which requests under way keep. Throws kNotFound, kAlreadyExists, kInvalidArgument (a path
  /// outside of the folder that it may be in, modules that do not match), kUnimplemented.
  virtual void load_adapter(const std::string& name, const std::string& path, bool replace) = 0;
  /// Throws kNotFound for a name that was not loaded.
  virtual void unload_adapter(const std::string& name) = 0;
};

}  // namespace yiti
