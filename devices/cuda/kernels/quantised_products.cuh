// Products of weights in 4 or 8 bits with rows of 8-bit codes, on tensor cores: one mma gives exact
// sums over a block of 32, which is what is scaled. So an element is a chain over the
// blocks of each leaf, and leaves are added in order: the bits do not depend on tiles.
#pragma once

#include "devices/cuda/kernels/tiles.cuh"

namespace yiti::devices::cuda {

// Blocks begin at even addresses.
__device__ inline uint32_t load_even(const uint8_t* at) {
  const auto* halves = reinterpret_cast<const uint16_t*>(at);
  return halves[0] | static_cast<uint32_t>(halves[1]) << 16;
}
__device__ inline float load_half(const uint8_t* at) {
  return half_to_float(*reinterpret_cast<const uint16_t*>(at));
}

// How GGUF keeps a block. codes() gives elements 4q… and 16 + 4q… as signed bytes.
struct Q8_0 {
  static constexpr int kBytes = 34;
  static constexpr bool kHasMinimum = false;
  __device__ static void codes(const uint8_t* block, int q, uint32_t& low, uint32_t& high) {
    low = load_even(block + 2 + 4 * q);
    high = load_even(block + 18 + 4 * q);
  }
};
struct Q4_0 {
  static constexpr int kBytes = 18;
  static constexpr bool kHasMinimum = false;
  // Nibble - 8 in each byte; no byte borrows from the next.
  __device__ static uint32_t centred(uint32_t nibbles) {
    return ((nibbles | 0x80808080u) - 0x08080808u) ^ 0x80808080u;
  }
  __device__ static void codes(const uint8_t* block, int q, uint32_t& low, uint32_t& high) {
    const uint32_t packed = load_even(block + 2 + 4 * q);
    low = centred(packed & 0x0f0f0f0fu);
    high = centred(packed >> 4 & 0x0f0f0f0fu);
  }
};
struct Q4_1 {
  static constexpr int kBytes = 20;
  static constexpr bool kHasMinimum = true;
  __device__ static void codes(const uint8_t* block, int q, uint32_t& low, uint32_t& high) {
    const uint32_t packed = load_even(block + 4 + 4 * q);
    low = packed & 0x0f0f0f0fu;
    high = packed >> 4 & 0x0f0f0f0fu;
  }
};

template <class Format, int kWide, int kTiles>
struct CodeTile {
  const CodeProduct& p;
  const TilePlace& place;

  // Columns and rows that are missing read the last one.
  __device__ const uint8_t* block(int i, int wide, int64_t b) const {
    const int64_t column = least(place.column(i, wide), p.columns - 1);
    return weight_of(p, place, wide) + (column * p.depth + b) * Format::kBytes;
  }
  __device__ int64_t unit(int64_t row, int64_t b) const {
    return least(row, p.rows - 1) * p.depth + b;
  }

  __device__ void add_leaf(int64_t leaf, float (&chains)[kWide * kTiles][4]) const {
    const int64_t begin = least(p.depth, leaf * p.leaf), end = least(p.depth, begin + p.leaf);
    clear(chains);
    for (int64_t b = begin; b < end; ++b) add_block(b, chains);
  }

  __device__ void add_block(int64_t b, float (&chains)[kWide * kTiles][4]) const {
    const uint8_t* blocks[kWide][2];
    uint32_t weights[kWide][4];
#pragma unroll
    for (int wide = 0; wide < kWide; ++wide) {
      blocks[wide][0] = block(0, wide, b);
      blocks[wide][1] = block(2, wide, b);
      Format::codes(blocks[wide][0], place.q, weights[wide][0], weights[wide][2]);
      Format::codes(blocks[wide][1], place.q, weights[wide][1], weights[wide][3]);
    }
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      const auto* x = reinterpret_cast<const uint32_t*>(p.codes) +
                      unit(place.first_row + 8 * tile + place.g, b) * 8;
      const uint32_t codes[2] = {x[place.q], x[place.q + 4]};
#pragma unroll
      for (int wide = 0; wide < kWide; ++wide) {
        int sums[4] = {0, 0, 0, 0};
        add_product(sums, weights[wide], codes);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const uint8_t* own = blocks[wide][i / 2];
          const CodeScale s = p.scales[unit(place.row(tile, i), b)];
          float& chain = chains[wide * kTiles + tile][i];
          chain = fmaf(static_cast<float>(sums[i]), load_half(own) * s.scale, chain);
          if constexpr (Format::kHasMinimum) chain = fmaf(load_half(own + 2), s.scaled_sum, chain);
        }
      }
    }
  }
};

template <class Format>
struct Codes {
  using Product = CodeProduct;
  static constexpr int kWide = 1;
  template <int kWideTiles, int kTiles>
  using Tile = CodeTile<Format, kWideTiles, kTiles>;
};

}  // namespace yiti::devices::cuda
