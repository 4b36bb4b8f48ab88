// Compiled kernels on disk, so that a process need not compile what an earlier one did.
#pragma once

#include <optional>
#include <string>

namespace yiti::devices::cuda {

/// Files in a folder, named by a hash of what they were made from. A file that cannot be read or
/// written is a miss: nothing here fails. Safe for many threads and processes.
class CodeCache {
 public:
  /// Keeps nothing where `folder` is empty.
  explicit CodeCache(std::string folder) : folder_(std::move(folder)) {}
  /// "$XDG_CACHE_HOME/yiti/cuda", else "$HOME/.cache/yiti/cuda"; "" where neither is set.
  static std::string default_folder();

  /// The code of that key; nullopt where there is none or it is damaged.
  std::optional<std::string> find(const std::string& key) const;
  /// Writes it whole or not at all.
  void keep(const std::string& key, const std::string& code) const;

 private:
  std::string path_of(const std::string& key) const;

  std::string folder_;
};

}  // namespace yiti::devices::cuda
