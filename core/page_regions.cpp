#include "core/page_regions.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

namespace yiti {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kRegion = size_t{32} << 20;

std::byte* map(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

size_t to_huge_page(const std::byte* at) {
  return (kHugePage - reinterpret_cast<uintptr_t>(at) % kHugePage) % kHugePage;
}

// Whole huge pages. Systems put one mapping beside the other, so that mostly the next one is
// aligned as it is, and free blocks join across the two.
std::byte* map_huge_pages(size_t bytes) {
  std::byte* memory = map(bytes);
  if (memory == nullptr || to_huge_page(memory) == 0) return memory;
  ::munmap(memory, bytes);
  memory = map(bytes + kHugePage);
  if (memory == nullptr) return nullptr;
  const size_t before = to_huge_page(memory), after = kHugePage - before;
  if (before > 0) ::munmap(memory, before);
  if (after > 0) ::munmap(memory + before + bytes, after);
  return memory + before;
}

}  // namespace

PageRegions::~PageRegions() {
  for (const auto& [begin, bytes] : regions_) ::munmap(begin, bytes);
}

void* PageRegions::take(size_t bytes) {
  auto fit = free_sizes_.lower_bound({bytes, nullptr});
  if (fit == free_sizes_.end()) {
    if (!map_region(bytes)) return nullptr;
    fit = free_sizes_.lower_bound({bytes, nullptr});
  }
  std::byte* begin = fit->second;
  const Free block = remove(free_.find(begin));
  if (block.bytes > bytes) {
    add(begin + bytes, {block.bytes - bytes, block.resident - std::min(block.resident, bytes)});
  }
  return begin;
}

void PageRegions::give_back(void* pointer, size_t bytes, size_t limit) noexcept {
  auto* begin = static_cast<std::byte*>(pointer);
  const bool keep = resident_ + bytes <= limit;
  if (!keep) ::madvise(begin, bytes, MADV_DONTNEED);
  try {
    join(begin, {bytes, keep ? bytes : 0});
  } catch (...) {  // no memory for the books: the block is lost until the regions go
  }
}

void PageRegions::join(std::byte* begin, Free block) {
  const auto take_in = [&](FreeBlocks::iterator neighbour) {
    const Free joined = remove(neighbour);
    block = {block.bytes + joined.bytes, block.resident + joined.resident};
  };
  const auto after = free_.lower_bound(begin);
  if (after != free_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second.bytes == begin) {
      begin = before->first;
      take_in(before);
    }
  }
  if (after != free_.end() && begin + block.bytes == after->first) take_in(after);
  add(begin, block);
}

bool PageRegions::map_region(size_t bytes) {
  if (bytes > SIZE_MAX - 2 * kHugePage) return false;
  const size_t usable = std::max(kRegion, (bytes + kHugePage - 1) / kHugePage * kHugePage);
  regions_.reserve(regions_.size() + 1);
  std::byte* begin = map_huge_pages(usable);
  if (begin == nullptr) return false;
  regions_.emplace_back(begin, usable);
#ifdef MADV_HUGEPAGE
  ::madvise(begin, usable, MADV_HUGEPAGE);  // without it, pages are small and all is well
#endif
  join(begin, {usable, 0});
  return true;
}

void PageRegions::add(std::byte* begin, Free block) {
  free_sizes_.emplace(block.bytes, begin);
  free_.emplace(begin, block);
  resident_ += block.resident;
}

PageRegions::Free PageRegions::remove(FreeBlocks::iterator at) {
  const Free block = at->second;
  free_sizes_.erase({block.bytes, at->first});
  free_.erase(at);
  resident_ -= block.resident;
  return block;
}

}  // namespace yiti
