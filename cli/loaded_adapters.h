// Adapters that requests load from a folder, with earlier versions of them.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cli/adapter_models.h"
#include "serving/adapter_host.h"

namespace yiti::cli {

struct LoadedAdaptersOptions {
  std::filesystem::path source = {};  ///< requests may load from here and below
  /// Where loaded adapters are copied to, so that a restart finds them, and the way back to an
  /// earlier version; empty: they are served from where they lie, and forgotten.
  std::filesystem::path kept = {};
  size_t max_names = 64;
  size_t versions_kept = 4;                         ///< of a name
  std::function<void(std::string_view)> note = {};  ///< a line for the operator
};

/// Thread-safe. What it is made with must outlive it.
class LoadedAdapters final : public AdapterHost {
 public:
  /// Serves what an earlier process kept. Throws where the folders cannot be read, or the list in
  /// `kept` is damaged; adapters that cannot be served are noted.
  LoadedAdapters(AdapterModels& models, LoadedAdaptersOptions options);

  void load_adapter(const std::string& name, const std::string& path, bool replace) override;
  void unload_adapter(const std::string& name) override;
  std::vector<ModelVersion> versions(std::string_view name) override;
  void serve_version(std::string_view name, int64_t number) override;

 private:
  using Versions = std::vector<ModelVersion>;

  bool keeps() const { return !options_.kept.empty(); }
  std::filesystem::path folder_of(int64_t number) const;
  std::filesystem::path inside_source(const std::string& path) const;
  void check_name(const std::string& name, bool replace);
  Versions find(std::string_view name);
  int64_t next_number();
  void keep(const std::filesystem::path& adapter, int64_t number) const;
  void forget(const Versions& versions) const;
  void serve(const std::string& name, const std::filesystem::path& folder, Versions versions);
  void set(const std::string& name, Versions versions);
  std::map<std::string, Versions> read() const;
  void save(const std::map<std::string, Versions>& loaded) const;

  AdapterModels& models_;
  const LoadedAdaptersOptions options_;
  std::mutex changing_;  // one change after the other
  std::mutex mutex_;
  std::map<std::string, Versions> loaded_;  // by name, oldest first; with mutex_
};

}  // namespace yiti::cli
