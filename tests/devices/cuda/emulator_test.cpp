// The emulator itself: fragments laid out as the PTX ISA says, and threads that wait.
#include "tests/devices/cuda/emulator.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace yiti::emulated {
namespace {

unsigned lane() { return threadIdx.x % 32; }

TEST(Emulator, RunsEachThreadOfEachBlockOnce) {
  std::vector<int> times(2 * 3 * 40);
  run({2, 3}, {10, 4}, [&] {
    const unsigned block = blockIdx.y * 2 + blockIdx.x, thread = threadIdx.y * 10 + threadIdx.x;
    ++times[block * 40 + thread];
  });
  for (const int count : times) EXPECT_EQ(count, 1);
}

TEST(Emulator, ThreadsSeeWhatOthersWroteBeforeTheyMet) {
  std::vector<int> shared(64), sums(64);
  run({1}, {64}, [&] {
    for (int round = 0; round < 3; ++round) {
      shared[threadIdx.x] += static_cast<int>(threadIdx.x) + round;
      __syncthreads();
      sums[threadIdx.x] = shared[63 - threadIdx.x];
      __syncthreads();
    }
  });
  for (int i = 0; i < 64; ++i) EXPECT_EQ(sums[static_cast<size_t>(i)], 3 * (63 - i) + 3);
}

TEST(Emulator, RefusesThreadsThatWaitForOthersThatHaveEnded) {
  EXPECT_THROW(run({1}, {32},
                   [] {
                     if (threadIdx.x != 5) __syncthreads();
                   }),
               std::logic_error);
}

TEST(Emulator, ExchangesBetweenLanes) {
  run({1}, {64}, [] {
    const float own = static_cast<float>(threadIdx.x);
    EXPECT_EQ(exchange(own, 5), static_cast<float>(threadIdx.x ^ 5u));
  });
}

// A[i][k] = 1 at one place and B[k][j] = 1 at one place: only their product is in D.
TEST(Emulator, MultipliesIntegerFragments) {
  for (const int k : {0, 3, 17, 31}) {
    const unsigned row = 11, column = 6, at = static_cast<unsigned>(k);
    run({1}, {32}, [&] {
      const unsigned g = lane() / 4, q = lane() % 4;
      uint32_t a[4] = {}, b[2] = {};
      const uint32_t mark = 1u << 8 * (at % 4);
      if (g == row - 8 && q == at % 16 / 4) a[1 + at / 16 * 2] = 3 * mark;
      if (g == column && q == at % 16 / 4) b[at / 16] = 0xffu << 8 * (at % 4);  // -1
      int d[4] = {5, 5, 5, 5};
      add_product(d, a, b);
      for (unsigned i = 0; i < 4; ++i) {
        const bool is_it = g + i / 2 * 8 == row && 2 * q + i % 2 == column;
        EXPECT_EQ(d[i], is_it ? 2 : 5);
      }
    });
  }
}

TEST(Emulator, MultipliesFragmentsOfBf16) {
  constexpr uint32_t kTwo = 0x4000, kThree = 0x4040;
  for (const int k : {0, 5, 8, 15}) {
    const unsigned row = 2, column = 7, at = static_cast<unsigned>(k);
    run({1}, {32}, [&] {
      const unsigned g = lane() / 4, q = lane() % 4, shift = 16 * (at % 2);
      uint32_t a[4] = {}, b[2] = {};
      if (g == row && q == at % 8 / 2) a[at / 8 * 2] = kTwo << shift;
      if (g == column && q == at % 8 / 2) b[at / 8] = kThree << shift;
      float d[4] = {1, 1, 1, 1};
      add_product(d, a, b);
      for (unsigned i = 0; i < 4; ++i) {
        const bool is_it = g + i / 2 * 8 == row && 2 * q + i % 2 == column;
        EXPECT_EQ(d[i], is_it ? 7.0f : 1.0f);
      }
    });
  }
}

}  // namespace
}  // namespace yiti::emulated
