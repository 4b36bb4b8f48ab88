#include "core/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace yiti {
namespace {

constexpr std::string_view kWhere = "mapped file";

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  // Without O_NONBLOCK, opening a pipe that nobody writes would wait for ever.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    const Code code = errno == ENOENT || errno == ENOTDIR ? Code::kNotFound : Code::kUnavailable;
    fail(code, kWhere, "cannot open {}: {}", path, std::strerror(errno));
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    fail(Code::kUnavailable, kWhere, "cannot stat {}: {}", path, std::strerror(errno));
  }
  check(!S_ISDIR(status.st_mode), kWhere, "{} is a folder; wants a file", path);
  check(S_ISREG(status.st_mode), kWhere, "{} is not a regular file", path);
  check(status.st_size > 0, kWhere, "{} is empty", path);
  const size_t size = static_cast<size_t>(status.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (data == MAP_FAILED) {
    fail(Code::kUnavailable, kWhere, "cannot map {}: {}", path, std::strerror(errno));
  }
  return std::shared_ptr<const MappedFile>(
      new MappedFile(path, static_cast<const std::byte*>(data), size));
}

MappedFile::MappedFile(std::string path, const std::byte* data, size_t size)
    : path_(std::move(path)), data_(data), size_(size) {}

MappedFile::~MappedFile() { ::munmap(const_cast<std::byte*>(data_), size_); }

void MappedFile::advise_dontneed(size_t offset, size_t length) const {
  if (offset > size_ || length > size_ - offset) {
    fail(Code::kOutOfRange, kWhere, "bytes [{}, +{}) of {}, which has {}", offset, length, path_,
         size_);
  }
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t begin = (offset + page - 1) / page * page;
  // The file's last page is whole in memory though the file ends inside it.
  const size_t end =
      offset + length == size_ ? (size_ + page - 1) / page * page : (offset + length) / page * page;
  if (begin >= end) return;
  // Advice may be ignored, so a failure is none of the caller's business.
  ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace yiti
