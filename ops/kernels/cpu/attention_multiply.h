// The register tiles of attention: C = A·B or C += A·B, where A's elements are broadcast one by one
// and rows of B lie in lanes. Each element of C is one chain over k. Only for *.isa.cpp.
#pragma once

#include "ops/kernels/cpu/transpose.h"

namespace yiti::cpu::YITI_ISA {

/// Rows of a full register tile.
inline constexpr int kTileRows = 6;
/// So few rows are done with a block before the memory has brought the next one.
inline constexpr int kStreamingRows = 4;
inline constexpr int64_t kCacheLine = 64;

/// A [rows, k] with any strides; B [k, columns] row-major, as is C; columns are a multiple of 16.
struct Product {
  const float* a;
  int64_t a_row, a_step;
  const void* b;  ///< what the products' Source reads
  int64_t b_stride;
  int64_t steps;
  float* c;
  int64_t c_stride;
  int64_t columns;
  /// What the memory is told to bring meanwhile, as many bytes as B has; or null.
  const char* ahead = nullptr;
};

/// Vectors of columns that R rows are tiled with: as many chains as registers hold, at least enough
/// to hide an FMA's latency.
template <int R>
constexpr int tile_columns() {
#if defined(YITI_ISA_avx512)
  return 4;
#else
  return R == 1 ? 4 : R <= 3 ? 2 : 1;
#endif
}

template <int R, int N, class Source, bool kAdd>
inline void multiply_tile(const Product& p, int64_t row, int64_t column) {
  Vec acc[R][N];
  float* c = p.c + row * p.c_stride + column;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      acc[r][n] = kAdd ? load(c + r * p.c_stride + n * kLanes) : zero();
    }
  }
  const float* a = p.a + row * p.a_row;
  constexpr auto kStepBytes = static_cast<int64_t>(N * kLanes * sizeof(typename Source::Type));
  const char* ahead = p.ahead;
  if (ahead != nullptr) ahead += column / (N * kLanes) * p.steps * kStepBytes;
  const auto* b = static_cast<const typename Source::Type*>(p.b) + column;
  for (int64_t k = 0; k < p.steps; ++k) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      __asm__ volatile("" : "+r"(a));  // broadcasts again: registers are for the chains
      const Vec lanes = Source::load16(b + n * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) acc[r][n] = fma(set1(a[r * p.a_row]), lanes, acc[r][n]);
    }
    a += p.a_step;
    b += p.b_stride;
    if constexpr (R <= kStreamingRows) {
      if (ahead != nullptr) {
        for (int64_t at = 0; at < kStepBytes; at += kCacheLine) {
          __builtin_prefetch(ahead + k * kStepBytes + at, 0, 2);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store(c + r * p.c_stride + n * kLanes, acc[r][n]);
  }
}

template <int R, class Source, bool kAdd>
inline void multiply_rows(const Product& p, int64_t row) {
  constexpr int kWide = tile_columns<R>();
  int64_t column = 0;
  for (; column + kWide * kLanes <= p.columns; column += kWide * kLanes) {
    multiply_tile<R, kWide, Source, kAdd>(p, row, column);
  }
  for (; column < p.columns; column += kLanes) multiply_tile<R, 1, Source, kAdd>(p, row, column);
}

template <class Source, bool kAdd>
inline void multiply(const Product& p, int64_t rows) {
  int64_t row = 0;
  for (; row + kTileRows <= rows; row += kTileRows) multiply_rows<kTileRows, Source, kAdd>(p, row);
  switch (rows - row) {
    case 5: return multiply_rows<5, Source, kAdd>(p, row);
    case 4: return multiply_rows<4, Source, kAdd>(p, row);
    case 3: return multiply_rows<3, Source, kAdd>(p, row);
    case 2: return multiply_rows<2, Source, kAdd>(p, row);
    case 1: return multiply_rows<1, Source, kAdd>(p, row);
    default: return;
  }
}

}  // namespace yiti::cpu::YITI_ISA
