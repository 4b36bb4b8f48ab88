// Products on tensor cores: how a block's warps share out a result, whatever is multiplied. Weights are
// the mma's left side and rows its right one, in the same way for few rows and for many, so that an
// element's bits do not depend on how many there are.
//
// A Family has a Product (columns, rows, depth, leaf, y, bias) and, for numbers of times 16 columns and
// times 8 rows, a Tile: {product, place} whose add_leaf(leaf, sums) gives a warp's sums over one leaf of
// the depth. Of each 16 columns lane 4g + q has g and g + 8, and of each 8 rows 2q and 2q + 1. Among many
// rows, a warp has kWide times 16 columns.
#pragma once

#include "devices/cuda/kernels/products.h"
#include "devices/cuda/kernels/warp.cuh"

namespace yiti::devices::cuda {

// Where a lane is in its warp's tile.
struct TilePlace {
  int64_t first_column, first_row;
  int g = static_cast<int>(threadIdx.x) % kWarp / 4, q = static_cast<int>(threadIdx.x) % 4;

  __device__ int64_t row(int tile, int i) const { return first_row + 8 * tile + 2 * q + i % 2; }
  __device__ int64_t column(int i, int wide = 0) const {
    return first_column + 16 * wide + g + i / 2 * 8;
  }
};

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

// For many rows: a block has 64 rows and 64 columns for each of kWide.
template <class Family>
__global__ void __launch_bounds__(128) multiply_many(const typename Family::Product p) {
  constexpr int kWide = Family::kWide, kCount = 4 * kWide * kManyTiles;
  const TilePlace place{(blockIdx.x * int64_t{4} + threadIdx.x / kWarp) * 16 * kWide,
                        blockIdx.y * int64_t{8 * kManyTiles}};
  const typename Family::template Tile<kWide, kManyTiles> tile{p, place};
  float sums[kCount / 4][4], totals[kCount / 4][4];
  tile.add_leaf(0, totals);
  for (int64_t leaf = 1; leaf * p.leaf < p.depth; ++leaf) {
    tile.add_leaf(leaf, sums);
#pragma unroll
    for (int i = 0; i < kCount; ++i) totals[i / 4][i % 4] += sums[i / 4][i % 4];
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const int tiles = i / 4;
    put(p, place.row(tiles % kManyTiles, i % 4), place.column(i % 4, tiles / kManyTiles),
        totals[tiles][i % 4]);
  }
}

// For at most kFewRows: a block has 16 columns, a warp one leaf of them.
template <class Family>
__global__ void __launch_bounds__(256) multiply_few(const typename Family::Product p) {
  __shared__ float all[kLeaves][kFewRows][16];
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const TilePlace place{blockIdx.x * int64_t{16}, 0};
  const typename Family::template Tile<1, 1> tile{p, place};
  float sums[1][4];
  tile.add_leaf(warp, sums);
#pragma unroll
  for (int i = 0; i < 4; ++i) all[warp][place.row(0, i)][place.g + i / 2 * 8] = sums[0][i];
  __syncthreads();
  if (threadIdx.x >= 128) return;
  const int row = static_cast<int>(threadIdx.x) / 16, column = static_cast<int>(threadIdx.x) % 16;
  float total = all[0][row][column];
  for (int leaf = 1; leaf * p.leaf < p.depth; ++leaf) total += all[leaf][row][column];
  put(p, row, place.first_column + column, total);
}

#ifdef __CUDACC__
template <class Family>
void launch_few(const typename Family::Product& p, cudaStream_t stream) {
  multiply_few<Family><<<blocks_of(p.columns, 16), 256, 0, stream>>>(p);
}
template <class Family>
void launch_many(const typename Family::Product& p, cudaStream_t stream) {
  const dim3 grid(blocks_of(p.columns, 64 * Family::kWide), blocks_of(p.rows, 8 * kManyTiles));
  multiply_many<Family><<<grid, 128, 0, stream>>>(p);
}
#endif

}  // namespace yiti::devices::cuda
