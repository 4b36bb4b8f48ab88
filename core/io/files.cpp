#include "core/io/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <system_error>

#include "core/error.h"

namespace yiti {
namespace {

constexpr std::string_view kWhere = "file";

[[noreturn]] void fail_system(const char* what, const std::string& path) {
  const int error = errno;
  const Code code = error == ENOENT || error == ENOTDIR  ? Code::kNotFound
                    : error == ENOSPC || error == EDQUOT ? Code::kResourceExhausted
                                                         : Code::kUnavailable;
  fail(code, kWhere, "cannot {} {}: {}", what, path, std::strerror(error));
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// A file beside the target that either becomes it or vanishes.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& target) : target_(target), path_(target + ".XXXXXX") {
    fd_ = ::mkostemp(path_.data(), O_CLOEXEC);
    if (fd_ < 0) fail_system("create a file for", target_);
  }
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!kept_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_system("write", target_);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }

  void keep() {
    if (::fchmod(fd_, mode()) != 0) fail_system("set the mode of", target_);
    if (::fsync(fd_) != 0) fail_system("sync", target_);
    const int fd = fd_;
    fd_ = -1;
    if (::close(fd) != 0) fail_system("close", target_);
    if (::rename(path_.c_str(), target_.c_str()) != 0) fail_system("replace", target_);
    kept_ = true;
    sync_folder();
  }

 private:
  // mkostemp makes files that only their owner reads; a replaced file keeps its own mode.
  mode_t mode() const {
    struct stat status {};
    if (::stat(target_.c_str(), &status) == 0) return status.st_mode & 0777;
    return 0644;
  }

  // The rename itself must survive a crash. Some file systems cannot sync a folder: no error.
  void sync_folder() const {
    const int folder = ::open(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;
    ::fsync(folder);
    ::close(folder);
  }

  std::string target_;
  std::string path_;
  int fd_ = -1;
  bool kept_ = false;
};

}  // namespace

std::string read_file(const std::string& path, size_t max_bytes) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) fail_system("read", path);
  check(!S_ISDIR(status.st_mode), kWhere, "{} is a folder; wants a file", path);
  check(S_ISREG(status.st_mode), kWhere, "{} is not a regular file", path);
  const auto too_large = [&] {
    fail(Code::kResourceExhausted, kWhere, "{} has more than {} bytes", path, max_bytes);
  };
  if (static_cast<uint64_t>(status.st_size) > max_bytes) too_large();
  std::ifstream file(path, std::ios::binary);
  if (!file) fail_system("read", path);
  // A file may have grown since.
  std::string contents(static_cast<size_t>(status.st_size) + 1, '\0');
  file.read(contents.data(), static_cast<std::streamsize>(contents.size()));
  if (file.bad()) fail_system("read", path);
  contents.resize(static_cast<size_t>(file.gcount()));
  if (contents.size() > max_bytes) too_large();
  return contents;
}

void write_file_atomically(const std::string& path, std::string_view contents) {
  write_file_atomically(
      path, [&](const WriteBytes& write) { write(std::as_bytes(std::span(contents))); });
}

void write_file_atomically(const std::string& path,
                           const std::function<void(const WriteBytes&)>& produce) {
  TemporaryFile file(path);
  produce([&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.keep();
}

}  // namespace yiti
