// The tree that adds the leaves of a reduction, and the way out of a tile. Only for *.isa.cpp.
#pragma once

#include "ops/kernels/cpu/gemm.h"
#include "ops/kernels/cpu/simd.h"

namespace yiti::cpu::YITI_ISA {

/// The chains that `segment` begins with: zeros, or what the last segment left. A node of the state
/// has kRows rows.
template <int kRows, int M>
inline void begin_segment(const LeafSegment& segment, const float* state, Vec (&chain)[M]) {
  const float* node = state + segment.depth * kRows * kPanelWidth;
#pragma GCC unroll 12
  for (int m = 0; m < M; ++m) chain[m] = segment.resumes ? load(node + m * kPanelWidth) : zero();
}

template <int M>
inline void write_out(const TileOutput& out, const Vec (&sum)[M]) {
  const int n = out.columns;
  const Vec bias = out.bias == nullptr ? zero()
                   : n == kPanelWidth  ? load(out.bias)
                                       : load_n(out.bias, n);
#pragma GCC unroll 12
  for (int m = 0; m < M; ++m) {
    float* c = out.c + m * out.c_stride;
    Vec y = sum[m];
    if (out.bias != nullptr) y = y + bias;
    if (out.addend != nullptr) {
      const float* addend = out.addend + m * out.c_stride;
      y = (n == kPanelWidth ? load(addend) : load_n(addend, n)) + y;
    }
    if (n == kPanelWidth) {
      store(c, y);
    } else {
      store_n(c, y, n);
    }
  }
}

/// Puts the chains away, merged with the nodes that they complete, or writes the result.
template <int kRows, int M>
inline void end_segment(const LeafSegment& segment, float* state, const TileOutput& out,
                        Vec (&chain)[M]) {
  float* node = state + segment.depth * kRows * kPanelWidth;
  if (segment.ends_leaf) {
    for (int i = 0; i < segment.merges; ++i) {
      node -= kRows * kPanelWidth;
#pragma GCC unroll 12
      for (int m = 0; m < M; ++m) chain[m] = load(node + m * kPanelWidth) + chain[m];
    }
  }
  if (segment.ends_all) return write_out(out, chain);
#pragma GCC unroll 12
  for (int m = 0; m < M; ++m) store(node + m * kPanelWidth, chain[m]);
}

}  // namespace yiti::cpu::YITI_ISA
