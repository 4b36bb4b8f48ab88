// Products of floats by fused multiply-adds, with the bits of multiply in products.cl: one chain for
// each leaf of the depth in ascending order, and leaves added in order.
#pragma once

#include "devices/cuda/kernels/products.h"
#include "devices/cuda/kernels/warp.cuh"

namespace yiti::devices::cuda {

struct F32 {
  using Type = float;
  __device__ static float widened(float x) { return x; }
};
struct F16 {
  using Type = uint16_t;
  __device__ static float widened(uint16_t x) { return half_to_float(x); }
};
struct BF16 {
  using Type = uint16_t;
  __device__ static float widened(uint16_t x) { return bf16_to_float(x); }
};

__device__ inline void put_float(const FloatProduct& p, int64_t row, int64_t column, float total) {
  if (row >= p.rows || column >= p.columns) return;
  if (p.bias != nullptr) total += p.bias[column];
  float& c = p.c[row * p.columns + column];
  c = p.accumulates ? c + total : total;
}

// For many rows: a block of 256 threads has 64 rows and 64 columns, a thread 4 of each, 16 apart.
template <class B>
__global__ void __launch_bounds__(256) multiply_floats_many(const FloatProduct p) {
  constexpr int kTile = 64, kDepth = 16, kOwn = 4, kThreads = 256;
  __shared__ float a[kDepth][kTile + 1], b[kDepth][kTile + 1];
  const int thread = static_cast<int>(threadIdx.x), x = thread % 16, y = thread / 16;
  const int64_t first_row = blockIdx.y * int64_t{kTile}, first_column = blockIdx.x * int64_t{kTile};
  // Neighbouring threads read along the axis whose elements are neighbours.
  const bool a_along_depth = p.a_depth == 1, b_along_depth = p.b_depth == 1;
  const auto* b_values = static_cast<const typename B::Type*>(p.b);
  float totals[kOwn][kOwn], chains[kOwn][kOwn];
  for (int64_t begin = 0; begin == 0 || begin < p.depth; begin += p.leaf) {
    const int64_t end = least(p.depth, begin + p.leaf);
    for (auto& row : chains) {
      for (float& chain : row) chain = 0;
    }
    for (int64_t first = begin; first < end; first += kDepth) {
      const int depth = static_cast<int>(least<int64_t>(kDepth, end - first));
      __syncthreads();
#pragma unroll
      for (int i = thread; i < kTile * kDepth; i += kThreads) {
        const int a_k = a_along_depth ? i % kDepth : i / kTile;
        const int a_i = a_along_depth ? i / kDepth : i % kTile;
        const int b_k = b_along_depth ? i % kDepth : i / kTile;
        const int b_i = b_along_depth ? i / kDepth : i % kTile;
        // Rows and columns that are missing read the last one.
        if (a_k < depth) {
          a[a_k][a_i] =
              p.a[least(first_row + a_i, p.rows - 1) * p.a_row + (first + a_k) * p.a_depth];
        }
        if (b_k < depth) {
          b[b_k][b_i] = B::widened(b_values[least(first_column + b_i, p.columns - 1) * p.b_column +
                                            (first + b_k) * p.b_depth]);
        }
      }
      __syncthreads();
      for (int k = 0; k < depth; ++k) {
#pragma unroll
        for (int i = 0; i < kOwn * kOwn; ++i) {
          float& chain = chains[i / kOwn][i % kOwn];
          chain = fmaf(a[k][y + i / kOwn * 16], b[k][x + i % kOwn * 16], chain);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kOwn * kOwn; ++i) {
      float& total = totals[i / kOwn][i % kOwn];
      total = begin == 0 ? chains[i / kOwn][i % kOwn] : total + chains[i / kOwn][i % kOwn];
    }
  }
#pragma unroll
  for (int i = 0; i < kOwn * kOwn; ++i) {
    put_float(p, first_row + y + i / kOwn * 16, first_column + x + i % kOwn * 16,
        totals[i / kOwn][i % kOwn]);
  }
}

// For at most kRows rows: a block has 32 columns, a warp one leaf of them.
template <class B, int kRows>
__global__ void __launch_bounds__(256) multiply_floats_few(const FloatProduct p) {
  __shared__ float sums[kLeaves][kRows][kWarp];
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t column = blockIdx.x * int64_t{kWarp} + lane;
  const auto* b =
      static_cast<const typename B::Type*>(p.b) + least(column, p.columns - 1) * p.b_column;
  const int64_t begin = least(p.depth, warp * p.leaf), end = least(p.depth, begin + p.leaf);
  float chains[kRows];
  for (float& chain : chains) chain = 0;
  for (int64_t k = begin; k < end; ++k) {
    const float value = B::widened(b[k * p.b_depth]);
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      const float x = p.a[least<int64_t>(row, p.rows - 1) * p.a_row + k * p.a_depth];
      chains[row] = fmaf(x, value, chains[row]);
    }
  }
  for (int row = 0; row < kRows; ++row) sums[warp][row][lane] = chains[row];
  __syncthreads();
  // Warp r adds up row r.
  if (warp >= kRows) return;
  float total = sums[0][warp][lane];
  for (int leaf = 1; leaf * p.leaf < p.depth; ++leaf) total += sums[leaf][warp][lane];
  put_float(p, warp, column, total);
}

}  // namespace yiti::devices::cuda
