// Memory straight from the operating system, on huge pages where it offers them: a model's weights
// and caches are read front to back for every token, and with pages of 4 KiB the look-up of
// addresses costs a tenth of that time.
#pragma once

#include <cstddef>
#include <vector>

namespace yiti {

/// Regions that blocks are cut from, one after the other. Not thread-safe.
class PageRegions {
 public:
  PageRegions() = default;
  ~PageRegions();
  PageRegions(const PageRegions&) = delete;
  PageRegions& operator=(const PageRegions&) = delete;

  /// A block of `bytes`, a multiple of 64, aligned to 64 bytes; null where there is no memory. It
  /// exists as long as this does.
  void* cut(size_t bytes);
  /// Gives the memory of a block back, not its addresses: its contents become undefined, and it can
  /// be used again.
  static void let_go(void* block, size_t bytes);

 private:
  struct Region {
    std::byte* begin;
    size_t bytes;
  };
  std::vector<Region> regions_;
  std::byte* next_ = nullptr;
  size_t left_ = 0;
};

}  // namespace yiti
