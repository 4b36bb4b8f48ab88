// A file's bytes as read-only memory.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace yiti {

/// A read-only mapping, shared by the tensors that lie in it. Thread-safe. Truncating the file
/// while it is mapped makes reads fault, as with any mapping: replace files by renaming.
class MappedFile {
 public:
  /// Throws kNotFound, kInvalidArgument (a folder, an empty file) or kUnavailable.
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  /// Lets the whole pages inside [offset, offset + length) go; reading them again loads them again.
  void advise_dontneed(size_t offset, size_t length) const;

 private:
  MappedFile(std::string path, const std::byte* data, size_t size);

  std::string path_;
  const std::byte* data_;
  size_t size_;
};

}  // namespace yiti
