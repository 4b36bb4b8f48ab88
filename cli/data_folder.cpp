#include "cli/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace yiti::cli {

DataFolder::DataFolder(const std::filesystem::path& path) : path_(path) {
  std::error_code failed;
  std::filesystem::create_directories(path_, failed);
  const std::string lock = (path_ / "lock").string();
  lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) {
    fail(Code::kUnavailable, "data folder", "cannot write to {}: {}", path_.string(),
         std::strerror(errno));
  }
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock_);
    fail(Code::kUnavailable, "data folder", "another process uses {}", path_.string());
  }
}

DataFolder::~DataFolder() { ::close(lock_); }

}  // namespace yiti::cli
