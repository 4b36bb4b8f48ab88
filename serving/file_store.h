// Files that clients upload and jobs write, in a folder of the server's own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace yiti {

struct StoredFile {
  std::string id = {};  ///< "file-" and 24 hexadecimal digits
  std::string filename = {};
  std::string purpose = {};
  int64_t bytes = 0;
  int64_t created_unix_s = 0;
  int64_t number = 0;  ///< in the order of arrival
};

struct FileStoreOptions {
  std::filesystem::path folder = {};  ///< made if missing
  int64_t max_file_bytes = int64_t{64} << 20;
  int64_t max_total_bytes = int64_t{4} << 30;
  int64_t max_files = 1000;
  /// Throws for contents that cannot be trained on, naming `name` and the lines; null: anything
  /// goes. Called for uploads.
  std::function<void(std::string_view name, std::string_view contents)> check_training_data = {};
};

/// A file appears whole or not at all, and is still there after a crash. Ids are made here and
/// looked up in a table, so no path comes from a request. Thread-safe.
class FileStore {
 public:
  /// Finds what an earlier process stored. Throws where the folder cannot be used.
  explicit FileStore(FileStoreOptions options);

  /// Throws kResourceExhausted over a limit or where the disk is full.
  StoredFile add(std::string_view filename, std::string_view purpose, std::string_view contents);
  /// Oldest first.
  std::vector<StoredFile> list() const;
  std::optional<StoredFile> find(std::string_view id) const;
  /// Where its contents lie. Throws kNotFound.
  std::filesystem::path path(std::string_view id) const;
  std::string contents(std::string_view id) const;
  /// False where there is none.
  bool remove(std::string_view id);

  const FileStoreOptions& options() const { return options_; }

 private:
  std::filesystem::path contents_path(std::string_view id) const;
  std::filesystem::path details_path(std::string_view id) const;
  void load();
  StoredFile reserve(std::string_view filename, std::string_view purpose, int64_t bytes);

  const FileStoreOptions options_;
  mutable std::mutex mutex_;
  std::map<std::string, StoredFile, std::less<>> files_;
  int64_t total_bytes_ = 0, next_number_ = 0, writing_ = 0;
};

}  // namespace yiti
