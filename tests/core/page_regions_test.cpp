#include "core/page_regions.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

namespace yiti {
namespace {

constexpr size_t kUnit = PageRegions::kUnit;
constexpr size_t kKeep = SIZE_MAX;

// How many bytes of a block occupy memory.
size_t resident_bytes(void* block, size_t bytes) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages(bytes / page);
  EXPECT_EQ(::mincore(block, bytes, pages.data()), 0);
  return page * static_cast<size_t>(std::count_if(pages.begin(), pages.end(),
                                                  [](unsigned char p) { return (p & 1) != 0; }));
}

TEST(PageRegions, UsesTheSmallestFreeBlockThatIsLargeEnough) {
  PageRegions regions;
  void* large = regions.take(64 * kUnit);
  regions.take(kUnit);
  void* small = regions.take(16 * kUnit);
  regions.take(kUnit);
  regions.give_back(large, 64 * kUnit, kKeep);
  regions.give_back(small, 16 * kUnit, kKeep);
  EXPECT_EQ(regions.take(12 * kUnit), small);
  EXPECT_EQ(regions.take(40 * kUnit), large);
}

TEST(PageRegions, JoinsFreeNeighboursInAnyOrder) {
  for (const std::vector<size_t>& order :
       {std::vector<size_t>{0, 1, 2}, {2, 1, 0}, {0, 2, 1}, {1, 0, 2}}) {
    PageRegions regions;
    std::vector<void*> blocks;
    for (int i = 0; i < 3; ++i) blocks.push_back(regions.take(8 * kUnit));
    regions.take(kUnit);
    for (const size_t i : order) regions.give_back(blocks[i], 8 * kUnit, kKeep);
    EXPECT_EQ(regions.take(24 * kUnit), blocks[0]);
  }
}

TEST(PageRegions, GivesMemoryAboveTheLimitBackToTheSystem) {
  PageRegions regions;
  constexpr size_t kBytes = size_t{4} << 20;
  void* first = regions.take(kBytes);
  void* second = regions.take(kBytes);
  for (void* block : {first, second}) std::memset(block, 1, kBytes);
  regions.give_back(first, kBytes, kBytes);
  EXPECT_EQ(resident_bytes(first, kBytes), kBytes);
  regions.give_back(second, kBytes, kBytes);
  EXPECT_EQ(resident_bytes(second, kBytes), 0u);
}

TEST(PageRegions, RefusesWhatNoMachineHas) {
  PageRegions regions;
  EXPECT_EQ(regions.take(SIZE_MAX / kUnit * kUnit), nullptr);
  EXPECT_EQ(regions.take(size_t{1} << 60), nullptr);
  EXPECT_NE(regions.take(kUnit), nullptr);
}

TEST(PageRegions, NeverHandsOutABlockTwice) {
  struct Block {
    unsigned char* begin;
    size_t bytes;
    unsigned char mark;
  };
  PageRegions regions;
  std::mt19937 random(1);
  std::vector<Block> blocks;
  for (int turn = 0; turn < 20'000; ++turn) {
    if (blocks.empty() || (blocks.size() < 60 && random() % 2 == 0)) {
      const size_t bytes = (1 + random() % 300) * kUnit;
      auto* begin = static_cast<unsigned char*>(regions.take(bytes));
      ASSERT_NE(begin, nullptr);
      const auto mark = static_cast<unsigned char>(turn);
      begin[0] = begin[bytes - 1] = mark;
      blocks.push_back({begin, bytes, mark});
      continue;
    }
    std::swap(blocks[random() % blocks.size()], blocks.back());
    const Block block = blocks.back();
    blocks.pop_back();
    ASSERT_EQ(block.begin[0], block.mark);
    ASSERT_EQ(block.begin[block.bytes - 1], block.mark);
    regions.give_back(block.begin, block.bytes, kKeep);
  }
  for (const Block& block : blocks) regions.give_back(block.begin, block.bytes, kKeep);
}

}  // namespace
}  // namespace yiti
