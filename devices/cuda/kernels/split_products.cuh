// Products of float32 rows with bfloat16 weights on tensor cores. x is the sum of three bfloat16, each
// the rest of the ones before, and each part's product with a weight is exact; so the result is about as
// exact as one of float32. Depth is walked 16 at a time, the least parts first, with one accumulator for
// each leaf; leaves are added in order. An element's bits do not depend on how many rows there are.
#pragma once

#include "devices/cuda/kernels/tiles.cuh"

namespace yiti::devices::cuda {

// What is not finite, or becomes so when it is rounded, is its first part alone.
__global__ void __launch_bounds__(256) split(const float* x, int part_count, uint16_t* parts,
                                             int64_t count) {
  const int64_t i = blockIdx.x * int64_t{256} + threadIdx.x;
  if (i >= count) return;
  float rest = x[i];
  for (int part = 0; part < part_count; ++part) {
    const uint16_t bits = to_bf16(rest);
    parts[part * count + i] = bits;
    const float value = bf16_to_float(bits);
    rest = value - value == 0.0f ? rest - value : 0.0f;
  }
}

template <int kTiles>
struct SplitTile {
  const SplitProduct& p;
  const TilePlace& place;

  // Elements 2q and 2q + 1 of the 16 from `k` on.
  __device__ uint32_t pair(const uint16_t* matrix, int64_t row, int64_t k) const {
    return *reinterpret_cast<const uint32_t*>(matrix + row * p.depth + k + 2 * place.q);
  }
  // The same of a weight, which may lie at any of its elements.
  __device__ uint32_t weight_pair(int64_t column, int64_t k) const {
    if (reinterpret_cast<uintptr_t>(p.weight) % 4 == 0) return pair(p.weight, column, k);
    const uint16_t* at = p.weight + column * p.depth + k + 2 * place.q;
    return at[0] | static_cast<uint32_t>(at[1]) << 16;
  }

  __device__ void add_leaf(int64_t leaf, float (&sums)[kTiles][4]) const {
    const int64_t begin = least(p.depth, leaf * p.leaf), end = least(p.depth, begin + p.leaf);
    // Columns and rows that are missing read the last one.
    const int64_t columns[2] = {least(place.column(0), p.columns - 1),
                                least(place.column(2), p.columns - 1)};
    clear(sums);
    for (int64_t k = begin; k < end; k += 16) {
      const uint32_t weights[4] = {weight_pair(columns[0], k), weight_pair(columns[1], k),
                                   weight_pair(columns[0], k + 8), weight_pair(columns[1], k + 8)};
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        const int64_t row = least(place.first_row + 8 * tile + place.g, p.rows - 1);
#pragma unroll
        for (int part = kParts - 1; part >= 0; --part) {
          const uint16_t* x = p.parts + part * p.rows * p.depth;
          const uint32_t values[2] = {pair(x, row, k), pair(x, row, k + 8)};
          add_product(sums[tile], weights, values);
        }
      }
    }
  }
};

struct Split {
  using Product = SplitProduct;
  template <int kTiles>
  using Tile = SplitTile<kTiles>;
};

}  // namespace yiti::devices::cuda
