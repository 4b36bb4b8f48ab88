#include "core/page_regions.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace yiti {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kRegion = size_t{32} << 20;

}  // namespace

PageRegions::~PageRegions() {
  for (const Region& region : regions_) ::munmap(region.begin, region.bytes);
}

void* PageRegions::cut(size_t bytes) {
  if (bytes > left_) {
    if (bytes > SIZE_MAX - 2 * kHugePage) return nullptr;
    const size_t usable = std::max(kRegion, (bytes + kHugePage - 1) / kHugePage * kHugePage);
    const size_t size = usable + kHugePage;  // so that a huge page's boundary lies in front
    regions_.reserve(regions_.size() + 1);
    void* memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    regions_.push_back({static_cast<std::byte*>(memory), size});
    const size_t past = reinterpret_cast<uintptr_t>(memory) % kHugePage;
    next_ = regions_.back().begin + (past == 0 ? 0 : kHugePage - past);
    left_ = usable;
#ifdef MADV_HUGEPAGE
    ::madvise(next_, usable, MADV_HUGEPAGE);  // without it, pages are small and all is well
#endif
  }
  void* block = next_;
  next_ += bytes;
  left_ -= bytes;
  return block;
}

void PageRegions::let_go(void* block, size_t bytes) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto at = reinterpret_cast<uintptr_t>(block);
  const uintptr_t begin = (at + page - 1) / page * page, end = (at + bytes) / page * page;
  if (begin < end) {
    ::madvise(static_cast<std::byte*>(block) + (begin - at), end - begin, MADV_DONTNEED);
  }
}

}  // namespace yiti
