// Memory straight from the operating system, on huge pages where it offers them: a model's weights
// and caches are read front to back for every token, and with pages of 4 KiB the look-up of
// addresses costs a tenth of that time.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace yiti {

/// Blocks cut from large regions: the smallest free one that is large enough is split, and what
/// comes back joins its free neighbours. Not thread-safe.
class PageRegions {
 public:
  /// Sizes of blocks are multiples of this.
  static constexpr size_t kUnit = 4096;

  PageRegions() = default;
  ~PageRegions();
  PageRegions(const PageRegions&) = delete;
  PageRegions& operator=(const PageRegions&) = delete;

  /// A block of `bytes`, aligned to kUnit; null where there is no memory.
  void* take(size_t bytes);
  /// Takes a block back. Its memory stays with the process while free blocks hold at most `limit`
  /// bytes, or else goes back to the system.
  void give_back(void* block, size_t bytes, size_t limit) noexcept;

 private:
  struct Free {
    size_t bytes;
    size_t resident;  // about how many of them occupy memory
  };
  using FreeBlocks = std::map<std::byte*, Free>;

  bool map_region(size_t bytes);
  /// Adds a block, as one with the free blocks that it touches.
  void join(std::byte* begin, Free block);
  void add(std::byte* begin, Free block);
  Free remove(FreeBlocks::iterator block);

  std::vector<std::pair<std::byte*, size_t>> regions_;
  FreeBlocks free_;                                     // neighbours never touch
  std::set<std::pair<size_t, std::byte*>> free_sizes_;  // the same blocks
  size_t resident_ = 0;
};

}  // namespace yiti
