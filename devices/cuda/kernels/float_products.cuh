// Products of floats by fused multiply-adds, with the bits of multiply in products.cl: one chain for
// each leaf of the depth in ascending order, and leaves added in order. Where kGated, both weights meet
// the same rows.
#pragma once

#include "devices/cuda/kernels/elements.cuh"
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

template <class B>
__device__ inline const typename B::Type* weight_of(const FloatProduct& p, int number) {
  return static_cast<const typename B::Type*>(number == 0 ? p.b : p.up);
}

template <bool kGated>
__device__ inline void put_float(const FloatProduct& p, int64_t row, int64_t column,
                                 const float (&totals)[kGated ? 2 : 1]) {
  if (row >= p.rows || column >= p.columns) return;
  float total = totals[0];
  if constexpr (kGated) total = swiglu_of(totals[0], totals[1]);
  if (p.bias != nullptr) total += p.bias[column];
  float& c = p.c[row * p.columns + column];
  c = p.accumulates ? c + total : total;
}

// For many rows: a block of 256 threads has 64 rows and 64 columns, a thread 4 of each, 16 apart.
template <class B, bool kGated = false>
__global__ void __launch_bounds__(256) multiply_floats_many(const FloatProduct p) {
  constexpr int kTile = 64, kDepth = 16, kOwn = 4, kThreads = 256, kWeights = kGated ? 2 : 1;
  __shared__ float a[kDepth][kTile + 1], b[kWeights][kDepth][kTile + 1];
  const int thread = static_cast<int>(threadIdx.x), x = thread % 16, y = thread / 16;
  const int64_t first_row = blockIdx.y * int64_t{kTile}, first_column = blockIdx.x * int64_t{kTile};
  // Neighbouring threads read along the axis whose elements are neighbours.
  const bool a_along_depth = p.a_depth == 1, b_along_depth = p.b_depth == 1;
  float totals[kOwn * kOwn][kWeights], chains[kOwn * kOwn][kWeights];
  for (int64_t begin = 0; begin == 0 || begin < p.depth; begin += p.leaf) {
    const int64_t end = least(p.depth, begin + p.leaf);
    for (auto& element : chains) {
      for (float& chain : element) chain = 0;
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
        if (b_k >= depth) continue;
        const int64_t place =
            least(first_column + b_i, p.columns - 1) * p.b_column + (first + b_k) * p.b_depth;
#pragma unroll
        for (int w = 0; w < kWeights; ++w) {
          b[w][b_k][b_i] = B::widened(weight_of<B>(p, w)[place]);
        }
      }
      __syncthreads();
      for (int k = 0; k < depth; ++k) {
#pragma unroll
        for (int i = 0; i < kOwn * kOwn; ++i) {
#pragma unroll
          for (int w = 0; w < kWeights; ++w) {
            float& chain = chains[i][w];
            chain = fmaf(a[k][y + i / kOwn * 16], b[w][k][x + i % kOwn * 16], chain);
          }
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kOwn * kOwn; ++i) {
#pragma unroll
      for (int w = 0; w < kWeights; ++w) {
        totals[i][w] = begin == 0 ? chains[i][w] : totals[i][w] + chains[i][w];
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kOwn * kOwn; ++i) {
    put_float<kGated>(p, first_row + y + i / kOwn * 16, first_column + x + i % kOwn * 16,
                      totals[i]);
  }
}

// Elements from `at` on, `step` apart; eight in as few accesses as can be where they are `whole`.
template <int kCount, class T>
__device__ inline void load_run(const T* at, int64_t step, bool whole, T (&to)[kCount]) {
  struct alignas(16) Run {
    T x[kCount];
  };
  if (kCount == 8 && whole) {
    const Run run = *reinterpret_cast<const Run*>(at);
    for (int i = 0; i < kCount; ++i) to[i] = run.x[i];
    return;
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) to[i] = at[i * step];
}

// A lane's column and what it has added up of it, for each row.
template <class B, int kRows, int kWeights>
struct FloatChains {
  const FloatProduct& p;
  const int64_t column;
  // Whether eight neighbours along the depth are whole words.
  const bool a_whole = p.a_depth == 1 && lies_on_words(p.a) && p.a_row % 4 == 0;
  const bool b_whole = p.b_depth == 1 && lies_on_words(p.b) && lies_on_words(p.up) &&
                       p.b_column * sizeof(typename B::Type) % 16 == 0;
  float sums[kRows][kWeights] = {};

  // kCount elements of depth from k on, which is a multiple of it.
  template <int kCount>
  __device__ void add(int64_t k) {
    typename B::Type values[kWeights][kCount];
#pragma unroll
    for (int w = 0; w < kWeights; ++w) {
      load_run(weight_of<B>(p, w) + column * p.b_column + k * p.b_depth, p.b_depth, b_whole,
               values[w]);
    }
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      float x[kCount];
      load_run(p.a + least<int64_t>(row, p.rows - 1) * p.a_row + k * p.a_depth, p.a_depth, a_whole,
               x);
#pragma unroll
      for (int i = 0; i < kCount * kWeights; ++i) {
        float& sum = sums[row][i % kWeights];
        sum = fmaf(x[i / kWeights], B::widened(values[i % kWeights][i / kWeights]), sum);
      }
    }
  }
};

// For at most kRows rows: a block has 32 columns, a warp one leaf of them.
template <class B, int kRows, bool kGated = false>
__global__ void __launch_bounds__(256) multiply_floats_few(const FloatProduct p) {
  constexpr int kWeights = kGated ? 2 : 1;
  __shared__ float sums[kWeights][kLeaves][kRows][kWarp];
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t column = blockIdx.x * int64_t{kWarp} + lane;
  const int64_t end = least(p.depth, (warp + 1) * p.leaf);
  FloatChains<B, kRows, kWeights> chains{p, least(column, p.columns - 1)};
  int64_t k = warp * p.leaf;
  for (; k + 8 <= end; k += 8) chains.template add<8>(k);
  for (; k < end; ++k) chains.template add<1>(k);
#pragma unroll
  for (int i = 0; i < kRows * kWeights; ++i) {
    sums[i % kWeights][warp][i / kWeights][lane] = chains.sums[i / kWeights][i % kWeights];
  }
  __syncthreads();
  // Warp r adds up row r.
  if (warp >= kRows) return;
  float totals[kWeights];
#pragma unroll
  for (int w = 0; w < kWeights; ++w) {
    totals[w] = sums[w][0][warp][lane];
    for (int leaf = 1; leaf * p.leaf < p.depth; ++leaf) totals[w] += sums[w][leaf][warp][lane];
  }
  put_float<kGated>(p, warp, column, totals);
}

}  // namespace yiti::devices::cuda
