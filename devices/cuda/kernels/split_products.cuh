// Products of float32 rows with bfloat16 weights on tensor cores. x is rounded to bfloat16, or is the sum
// of three of them, each the rest of the ones before; each part's product with a weight is exact, so with
// three the result is about as exact as one of float32. Depth is walked 32 at a time, the least parts first, with one accumulator for
// each leaf; leaves are added in order. An element's bits do not depend on how many rows there are.
//
// Lane q has of 32 elements of depth the 8 from 8q on, which it reads at once: 4 words of two, of which an
// mma takes two. Few rows are split where they are multiplied, many before.
#pragma once

#include "devices/cuda/kernels/tiles.cuh"

namespace yiti::devices::cuda {

// What is not finite, or becomes so when it is rounded, is its first part alone.
template <int kCount>
__device__ inline void split_float(float x, uint16_t (&parts)[kCount]) {
  for (uint16_t& part : parts) {
    part = to_bf16(x);
    const float value = bf16_to_float(part);
    x = value - value == 0.0f ? x - value : 0.0f;
  }
}

__global__ void __launch_bounds__(256) split(const float* x, int part_count, uint16_t* parts,
                                             int64_t count) {
  const int64_t i = blockIdx.x * int64_t{256} + threadIdx.x;
  if (i >= count) return;
  uint16_t own[kParts];
  split_float(x[i], own);
  for (int part = 0; part < part_count; ++part) parts[part * count + i] = own[part];
}

struct alignas(16) Words {
  uint32_t word[4];
};

// Eight elements of a matrix that may lie at any of them.
__device__ inline Words load_words(const uint16_t* at, bool whole) {
  if (whole) return *reinterpret_cast<const Words*>(at);
  Words words;
#pragma unroll
  for (int i = 0; i < 4; ++i) words.word[i] = at[2 * i] | static_cast<uint32_t>(at[2 * i + 1]) << 16;
  return words;
}

// Rows that are split already.
template <int kCount>
struct SplitRows {
  static constexpr int kPartCount = kCount;
  const SplitProduct& p;

  __device__ void load(int64_t row, int64_t k, Words (&parts)[kCount]) const {
#pragma unroll
    for (int part = 0; part < kCount; ++part) {
      parts[part] = load_words(p.parts + (part * p.rows + row) * p.depth + k, true);
    }
  }
};

template <int kCount>
struct FloatRows {
  static constexpr int kPartCount = kCount;
  const SplitProduct& p;
  bool whole = lies_on_words(p.x);

  __device__ void load(int64_t row, int64_t k, Words (&parts)[kCount]) const {
    const float* x = p.x + row * p.depth + k;
    Words halves[2];
#pragma unroll
    for (int i = 0; i < 8; ++i) halves[i / 4].word[i % 4] = whole ? 0 : bits_of(x[i]);
    if (whole) {
      halves[0] = reinterpret_cast<const Words*>(x)[0];
      halves[1] = reinterpret_cast<const Words*>(x)[1];
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      uint16_t low[kCount], high[kCount];
      split_float(float_of(halves[i / 2].word[i % 2 * 2]), low);
      split_float(float_of(halves[i / 2].word[i % 2 * 2 + 1]), high);
#pragma unroll
      for (int part = 0; part < kCount; ++part) {
        parts[part].word[i] = low[part] | static_cast<uint32_t>(high[part]) << 16;
      }
    }
  }
};

template <class Rows, int kWide, int kTiles>
struct SplitTile {
  const SplitProduct& p;
  const TilePlace& place;

  __device__ void add_leaf(int64_t leaf, float (&sums)[kWide * kTiles][4]) const {
    const Rows rows{p};
    const bool whole = lies_on_words(p.weight) && lies_on_words(p.up);
    const int64_t begin = least(p.depth, leaf * p.leaf), end = least(p.depth, begin + p.leaf);
    clear(sums);
    for (int64_t first = begin; first < end; first += 32) {
      const int64_t k = first + 8 * place.q;
      const bool is_there = k < end;
      Words weights[kWide][2];
#pragma unroll
      for (int i = 0; i < 2 * kWide; ++i) {
        // Columns and rows that are missing read the last one.
        const int64_t column = least(place.column(i % 2 * 2, i / 2), p.columns - 1);
        weights[i / 2][i % 2] = Words{};
        const uint16_t* weight = weight_of(p, place, i / 2);
        if (is_there) weights[i / 2][i % 2] = load_words(weight + column * p.depth + k, whole);
      }
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        const int64_t row = least(place.first_row + 8 * tile + place.g, p.rows - 1);
        Words x[Rows::kPartCount] = {};
        if (is_there) rows.load(row, k, x);
#pragma unroll
        for (int i = 0; i < 2 * kWide; ++i) {
          const int half = i / kWide, wide = i % kWide;
          const Words(&w)[2] = weights[wide];
          const uint32_t a[4] = {w[0].word[2 * half], w[1].word[2 * half], w[0].word[2 * half + 1],
                                 w[1].word[2 * half + 1]};
#pragma unroll
          for (int part = Rows::kPartCount - 1; part >= 0; --part) {
            const uint32_t b[2] = {x[part].word[2 * half], x[part].word[2 * half + 1]};
            add_product(sums[wide * kTiles + tile], a, b);
          }
        }
      }
    }
  }
};

template <class Rows>
struct Split {
  using Product = SplitProduct;
  static constexpr int kWide = 2;
  template <int kWideTiles, int kTiles>
  using Tile = SplitTile<Rows, kWideTiles, kTiles>;
};

}  // namespace yiti::devices::cuda
