#include "ops/kernels/cpu/quant.h"

#include "ops/kernels/cpu/leaf_tree.h"
#include "ops/kernels/cpu/quant_dots.h"
#include "ops/kernels/cpu/simd.h"

namespace yiti::cpu::YITI_ISA {
namespace {

void quantise(const float* x, int64_t blocks, int8_t* codes, BlockScale* scales) {
  // Below this, 127 / amax would overflow; such a block counts as zero.
  constexpr float kSmallest = 1e-35f;
  Vec probe = zero();  // NaN where anything is not finite
  for (int64_t b = 0; b < blocks; ++b) {
    const Vec low = load(x + b * kBlock), high = load(x + b * kBlock + 16);
    probe = probe + (low * zero() + high * zero());
    const float top = max_abs(low, high);
    const bool tiny = !(top > kSmallest);
    const float scale = tiny ? 0.0f : top / 127.0f;
    const Vec inverse = set1(tiny ? 0.0f : 127.0f / top);
    const int32_t sum =
        store_codes(codes + b * kBlock, to_int(low * inverse), to_int(high * inverse));
    scales[b] = {scale, scale * static_cast<float>(sum), sum};
  }
  const float poison = yiti::cpu::YITI_ISA::sum(probe);
  if (poison == 0.0f) return;
  for (int64_t b = 0; b < blocks; ++b) scales[b] = {poison, poison, 0};
}

// Keeps the compiler from holding the chains in registers across the integer part of a block, which
// needs all of them.
inline void forget_registers() { __asm__ volatile("" ::: "memory"); }

// Few rows meet a panel faster than the memory brings it, so it is told early: by two kilobytes
// where one tile is all, else while all tiles meet the panel before. (Prefetching past the end of
// the weights is harmless.)
constexpr int kStreamingRows = 2;
constexpr int64_t kPrefetchBytes = 1536;

inline void prefetch_block(const uint8_t* block, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(block + at, 0, 2);
}

// How a tile reads a block of weights: as panels have it, or unpacked.
template <BlockType kType>
struct PackedWeights {
  static constexpr bool kHasMinimum = kType == BlockType::kQ4_1;
  static constexpr int64_t kBytes = panel_block_bytes(kType);
  static constexpr bool kFromMemory = true;

  template <int M>
  static void dots(const uint8_t* block, const CodeRows& x, IVec (&dots)[M]) {
    block_dots<kType, M>(block + codes_offset(kType), x, dots);
  }
  static Vec scale(const uint8_t* block) {
    return load_half(reinterpret_cast<const uint16_t*>(block));
  }
  static Vec minimum(const uint8_t* block) {
    return load_half(reinterpret_cast<const uint16_t*>(block + 32));
  }
};

template <BlockType kType>
struct UnpackedWeights {
  static constexpr bool kHasMinimum = kType == BlockType::kQ4_1;
  static constexpr int64_t kBytes = sizeof(UnpackedBlock);
  static constexpr bool kFromMemory = false;  // just unpacked

  static const UnpackedBlock& at(const uint8_t* block) {
    return *reinterpret_cast<const UnpackedBlock*>(block);
  }
  template <int M>
  static void dots(const uint8_t* block, const CodeRows& x, IVec (&dots)[M]) {
    unpacked_dots<kType, M>(at(block).codes, x, dots);
  }
  static Vec scale(const uint8_t* block) { return load(at(block).scale); }
  static Vec minimum(const uint8_t* block) { return load(at(block).minimum); }
};

// One block's contribution to the chains [M][16], which begin with it.
template <class Weights, int M, bool kBegins>
inline void add_block(const uint8_t* block, const CodeRows& x, float* chains) {
  forget_registers();
  IVec dots[M];
  Weights::template dots<M>(block, x, dots);
  const Vec weight_scale = Weights::scale(block);
  Vec minimum = zero();
  if constexpr (Weights::kHasMinimum) minimum = Weights::minimum(block);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    const BlockScale& s = x.scales[m * x.scale_stride];
    float* slot = chains + m * kPanelWidth;
    Vec sum = fma(to_float(dots[m]), weight_scale * set1(s.scale), kBegins ? zero() : load(slot));
    if constexpr (Weights::kHasMinimum) sum = fma(minimum, set1(s.sum), sum);
    store(slot, sum);
  }
}

// The tree over the chains of kLeaves leaves, which lie `stride` floats apart.
template <int kLeaves>
inline Vec leaf_tree(const float* chain, int64_t stride) {
  if constexpr (kLeaves == 1) {
    return load(chain);
  } else {
    constexpr int kLeft = kLeaves > 4 ? 4 : kLeaves > 2 ? 2 : 1;
    return leaf_tree<kLeft>(chain, stride) +
           leaf_tree<kLeaves - kLeft>(chain + kLeft * stride, stride);
  }
}

template <int M, int kLeaves>
inline void write_tree(const TileOutput& out, const float* chains) {
  Vec sum[M];
  for (int m = 0; m < M; ++m)
    sum[m] = leaf_tree<kLeaves>(chains + m * kPanelWidth, M * kPanelWidth);
  write_out(out, sum);
}

template <int M>
void write_leaves(const TileOutput& out, const float* chains, int leaves) {
  switch (leaves) {
    case 1: return write_tree<M, 1>(out, chains);
    case 2: return write_tree<M, 2>(out, chains);
    case 3: return write_tree<M, 3>(out, chains);
    case 4: return write_tree<M, 4>(out, chains);
    case 5: return write_tree<M, 5>(out, chains);
    case 6: return write_tree<M, 6>(out, chains);
    case 7: return write_tree<M, 7>(out, chains);
    default: return write_tree<M, 8>(out, chains);
  }
}

template <class Weights, int M>
void run_tile(const QuantProduct& product, int64_t row) {
  alignas(64) float chains[kMaxQuantLeaves * M * kPanelWidth];
  const uint8_t* block = product.panel;
  CodeRows x = {.codes = product.codes + row * product.blocks * kBlock,
                .stride = product.blocks * kBlock,
                .scales = product.scales + row * product.blocks,
                .scale_stride = product.blocks};
  const int64_t ahead = M <= kStreamingRows ? kPrefetchBytes : product.blocks * Weights::kBytes;
  const auto step = [&] {
    if constexpr (Weights::kFromMemory) prefetch_block(block + ahead, Weights::kBytes);
    block += Weights::kBytes;
    x.codes += kBlock;
    ++x.scales;
  };
  float* leaf = chains;
  for (int l = 0; l < product.leaves; ++l) {
    add_block<Weights, M, true>(block, x, leaf);
    step();
    for (int32_t i = 1; i < product.leaf_blocks[l]; ++i) {
      add_block<Weights, M, false>(block, x, leaf);
      step();
    }
    leaf += M * kPanelWidth;
  }
  write_leaves<M>(part_of(product.out, row, 0, kPanelWidth), chains, product.leaves);
}

template <class Weights>
void run_rows(const QuantProduct& product, int64_t row, int64_t rows) {
  switch (rows) {
    case 1: return run_tile<Weights, 1>(product, row);
    case 2: return run_tile<Weights, 2>(product, row);
    case 3: return run_tile<Weights, 3>(product, row);
    case 4: return run_tile<Weights, 4>(product, row);
#if defined(YITI_ISA_avx512)
    case 5: return run_tile<Weights, 5>(product, row);
    case 6: return run_tile<Weights, 6>(product, row);
    case 7: return run_tile<Weights, 7>(product, row);
    case 8: return run_tile<Weights, 8>(product, row);
#endif
    default: return;
  }
}

// In tiles of nearly equal height: a low one costs more for each of its rows.
template <class Weights>
void run_tiles(QuantProduct product) {
  const int64_t tiles = (product.rows + kQuantRows - 1) / kQuantRows;
  const TileOutput all = product.out;
  for (int64_t p = 0; p < product.panels; ++p) {
    product.out = part_of(all, 0, p * kPanelWidth, kPanelWidth);
    for (int64_t t = 0, row = 0; t < tiles; ++t) {
      const int64_t next = (t + 1) * product.rows / tiles;
      run_rows<Weights>(product, row, next - row);
      row = next;
    }
    product.panel += product.blocks * Weights::kBytes;
  }
}

template <BlockType kType>
void run_four_bits(const QuantProduct& product) {
  if constexpr (kUnpacks) {
    if (product.unpacked) return run_tiles<UnpackedWeights<kType>>(product);
  }
  run_tiles<PackedWeights<kType>>(product);
}

void multiply(const QuantProduct& product) {
  switch (product.type) {
    case BlockType::kQ4_0: return run_four_bits<BlockType::kQ4_0>(product);
    case BlockType::kQ4_1: return run_four_bits<BlockType::kQ4_1>(product);
    case BlockType::kQ8_0: return run_tiles<PackedWeights<BlockType::kQ8_0>>(product);
  }
}

void unpack(BlockType type, const uint8_t* panel, int64_t blocks, UnpackedBlock* out) {
  for (int64_t b = 0; b < blocks; ++b, panel += panel_block_bytes(type), ++out) {
    store(out->scale, load_half(reinterpret_cast<const uint16_t*>(panel)));
    if (type == BlockType::kQ4_1) {
      store(out->minimum, load_half(reinterpret_cast<const uint16_t*>(panel + 32)));
    }
    const uint8_t* packed = panel + codes_offset(type);
    for (int i = 0; i < 256; ++i) {
      out->codes[i] = packed[i] & 15;
      out->codes[256 + i] = static_cast<uint8_t>(packed[i] >> 4);
    }
  }
}

// value = scale * code + minimum, each step rounded, as the format's own definition has it.
template <BlockType kType>
void dequantise_as(const uint8_t* block, float* out) {
  float scale[16], minimum[16];
  store(scale, load_half(reinterpret_cast<const uint16_t*>(block)));
  if constexpr (kType == BlockType::kQ4_1) {
    store(minimum, load_half(reinterpret_cast<const uint16_t*>(block + 32)));
  }
  const auto value = [&](int32_t code, int r) {
    if constexpr (kType == BlockType::kQ4_0) {
      return scale[r] * static_cast<float>(code - 8);
    } else {
      return scale[r] * static_cast<float>(code) + minimum[r];
    }
  };
  const uint8_t* codes = block + codes_offset(kType);
  for (int64_t g = 0; g < code_groups(kType); ++g) {
    uint32_t word[16];
    __builtin_memcpy(word, codes + 64 * g, 64);
    for (int j = 0; j < 4; ++j) {
      float* low = out + (4 * g + j) * 16;
      for (int r = 0; r < 16; ++r) {
        const auto byte = static_cast<int32_t>((word[r] >> (8 * j)) & 255);
        if constexpr (kType == BlockType::kQ8_0) {
          low[r] = scale[r] * static_cast<float>(static_cast<int8_t>(byte));
        } else {
          low[r] = value(byte & 15, r);
          low[r + 16 * 16] = value(byte >> 4, r);
        }
      }
    }
  }
}

void dequantise(BlockType type, const uint8_t* block, float* out) {
  switch (type) {
    case BlockType::kQ4_0: return dequantise_as<BlockType::kQ4_0>(block, out);
    case BlockType::kQ4_1: return dequantise_as<BlockType::kQ4_1>(block, out);
    case BlockType::kQ8_0: return dequantise_as<BlockType::kQ8_0>(block, out);
  }
}

}  // namespace

extern const QuantTable quant_table = {kQuantRows, kUnpackRows, unpack,
                                       quantise,   multiply,    dequantise};

}  // namespace yiti::cpu::YITI_ISA
