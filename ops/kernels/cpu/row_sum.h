// Reductions of a row: the one order in which norms, softmax and losses add. Only for *.isa.cpp.
#pragma once

#include "ops/kernels/cpu/simd.h"

namespace yiti::cpu::YITI_ISA {

/// `count` elements, the other lanes zero.
inline Vec load_some(const float* p, int count) {
  return count == kLanes ? load(p) : load_n(p, count);
}
inline void store_some(float* p, Vec x, int count) {
  if (count == kLanes) return store(p, x);
  store_n(p, x, count);
}

/// Calls f(i, count) for the pieces [i, i + count) of a row of n, each 16 long but the last.
template <class F>
inline void for_lanes(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, kLanes);
  if (i < n) f(i, static_cast<int>(n - i));
}

/// The sum that `step(sum, i, count)` gathers from the pieces of a row, in four interleaved chains
/// of 16 lanes that are added in a fixed tree.
template <class Step>
inline float sum_row(int64_t n, Step step) {
  Vec acc[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) acc[j] = step(acc[j], i + j * kLanes, kLanes);
  }
  for (int j = 0; i < n; ++j, i += kLanes) {
    acc[j] = step(acc[j], i, n - i < kLanes ? static_cast<int>(n - i) : kLanes);
  }
  return sum((acc[0] + acc[1]) + (acc[2] + acc[3]));
}

}  // namespace yiti::cpu::YITI_ISA
