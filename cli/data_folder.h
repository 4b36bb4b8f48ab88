// The folder in which a server keeps files and jobs.
#pragma once

#include <filesystem>

namespace yiti::cli {

/// Made if missing, and locked for this process until the end, however it comes.
class DataFolder {
 public:
  /// Throws kUnavailable where it cannot be used, or another process uses it.
  explicit DataFolder(const std::filesystem::path& path);
  ~DataFolder();
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;

  std::filesystem::path files() const { return path_ / "files"; }
  std::filesystem::path adapters() const { return path_ / "adapters"; }
  std::filesystem::path jobs() const { return path_ / "jobs"; }

 private:
  const std::filesystem::path path_;
  int lock_ = -1;
};

}  // namespace yiti::cli
