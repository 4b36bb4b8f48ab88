// Products on tensor cores: how a block's warps share out a result, whatever is multiplied. Weights are
// the mma's left side and rows its right one, in the same way for few rows and for many, so that an
// element's bits do not depend on how many there are.
//
// A Family has a Product (columns, rows, depth, leaf, y, bias) and, for numbers of times 16 columns and
// times 8 rows, a Tile: {product, place} whose add_leaf(leaf, sums) gives a warp's sums over one leaf of
// the depth. Of each 16 columns lane 4g + q has g and g + 8, and of each 8 rows 2q and 2q + 1. Among many
// rows, a warp has kWide times 16 columns. Where kGated, it has the same 16 columns of two weights.
#pragma once

#include "devices/cuda/kernels/elements.cuh"
#include "devices/cuda/kernels/products.h"
#include "devices/cuda/kernels/warp.cuh"

namespace yiti::devices::cuda {

// Where a lane is in its warp's tile.
struct TilePlace {
  int64_t first_column, first_row;
  bool gated;
  int g = static_cast<int>(threadIdx.x) % kWarp / 4, q = static_cast<int>(threadIdx.x) % 4;

  __device__ int64_t row(int tile, int i) const { return first_row + 8 * tile + 2 * q + i % 2; }
  __device__ int64_t column(int i, int wide = 0) const {
    return first_column + (gated ? 0 : 16 * wide) + g + i / 2 * 8;
  }
};

template <class Product>
__device__ inline auto weight_of(const Product& p, const TilePlace& place, int wide) {
  return place.gated && wide == 1 ? p.up : p.weight;
}

template <int kTiles>
__device__ inline void clear(float (&sums)[kTiles][4]) {
#pragma unroll
  for (int i = 0; i < 4 * kTiles; ++i) sums[i / 4][i % 4] = 0;
}

template <class Product>
__device__ inline void put(const Product& p, int64_t row, int64_t column, float total) {
  if (row >= p.rows || column >= p.columns) return;
  p.y[row * p.columns + column] = p.bias != nullptr ? total + p.bias[column] : total;
}

inline constexpr int kManyTiles = 8;

// For many rows: a block has 64 rows and 64 columns, for each of kWide unless they are of two weights.
template <class Family, bool kGated = false>
__global__ void __launch_bounds__(128) multiply_many(const typename Family::Product p) {
  constexpr int kWide = kGated ? 2 : Family::kWide, kColumns = kGated ? 16 : 16 * kWide;
  constexpr int kOwn = 4 * kManyTiles, kCount = kWide * kOwn;
  const TilePlace place{(blockIdx.x * int64_t{4} + threadIdx.x / kWarp) * kColumns,
                        blockIdx.y * int64_t{8 * kManyTiles}, kGated};
  const typename Family::template Tile<kWide, kManyTiles> tile{p, place};
  float sums[kCount / 4][4], totals[kCount / 4][4];
  tile.add_leaf(0, totals);
  for (int64_t leaf = 1; leaf * p.leaf < p.depth; ++leaf) {
    tile.add_leaf(leaf, sums);
#pragma unroll
    for (int i = 0; i < kCount; ++i) totals[i / 4][i % 4] += sums[i / 4][i % 4];
  }
#pragma unroll
  for (int i = 0; i < (kGated ? kOwn : kCount); ++i) {
    const int tiles = i / 4;
    float total = totals[tiles][i % 4];
    if constexpr (kGated) total = swiglu_of(total, totals[kManyTiles + tiles][i % 4]);
    put(p, place.row(tiles % kManyTiles, i % 4), place.column(i % 4, tiles / kManyTiles), total);
  }
}

// For at most kFewRows: a block has 16 columns, a warp one leaf of them.
template <class Family, bool kGated = false>
__global__ void __launch_bounds__(256) multiply_few(const typename Family::Product p) {
  constexpr int kWide = kGated ? 2 : 1;
  __shared__ float all[kWide][kLeaves][kFewRows][16];
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const TilePlace place{blockIdx.x * int64_t{16}, 0, kGated};
  const typename Family::template Tile<kWide, 1> tile{p, place};
  float sums[kWide][4], totals[kWide];
  tile.add_leaf(warp, sums);
#pragma unroll
  for (int i = 0; i < 4 * kWide; ++i) {
    all[i / 4][warp][place.row(0, i % 4)][place.g + i % 4 / 2 * 8] = sums[i / 4][i % 4];
  }
  __syncthreads();
  if (threadIdx.x >= 128) return;
  const int row = static_cast<int>(threadIdx.x) / 16, column = static_cast<int>(threadIdx.x) % 16;
#pragma unroll
  for (int wide = 0; wide < kWide; ++wide) {
    totals[wide] = all[wide][0][row][column];
    for (int leaf = 1; leaf * p.leaf < p.depth; ++leaf) totals[wide] += all[wide][leaf][row][column];
  }
  if constexpr (kGated) totals[0] = swiglu_of(totals[0], totals[1]);
  put(p, row, place.first_column + column, totals[0]);
}

#ifdef __CUDACC__
template <class Family>
void launch_few(const typename Family::Product& p, cudaStream_t stream) {
  const unsigned blocks = blocks_of(p.columns, 16);
  if (p.up != nullptr) {
    multiply_few<Family, true><<<blocks, 256, 0, stream>>>(p);
  } else {
    multiply_few<Family, false><<<blocks, 256, 0, stream>>>(p);
  }
}
template <class Family>
void launch_many(const typename Family::Product& p, cudaStream_t stream) {
  const int columns = p.up != nullptr ? 64 : 64 * Family::kWide;
  const dim3 grid(blocks_of(p.columns, columns), blocks_of(p.rows, 8 * kManyTiles));
  if (p.up != nullptr) {
    multiply_many<Family, true><<<grid, 128, 0, stream>>>(p);
  } else {
    multiply_many<Family, false><<<grid, 128, 0, stream>>>(p);
  }
}
#endif

}  // namespace yiti::devices::cuda
