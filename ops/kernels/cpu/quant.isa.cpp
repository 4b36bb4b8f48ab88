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

// So few rows read weights faster than the memory gives them: it is told early. (Prefetching past
// the end of the weights is harmless.)
constexpr int kStreamingRows = 2;
constexpr int64_t kPrefetchBytes = 2048;

template <BlockType kType, int M>
void run_tile(const QuantProduct& product, int64_t row) {
  float state[tile_state(M)];
  const int64_t stride = product.blocks * kBlock, scale_stride = product.blocks;
  const uint8_t* block = product.panel;
  const int8_t* codes = product.codes + row * stride;
  const BlockScale* scales = product.scales + row * scale_stride;
  TileOutput out = product.out;
  out.c += row * out.c_stride;
  for (int s = 0; s < product.segment_count; ++s) {
    const LeafSegment& segment = product.segments[s];
    // The leaf's chains, in their place in the tree: segments are whole leaves here.
    float* chains = state + segment.depth * M * kPanelWidth;
    for (int32_t i = 0; i < segment.length; ++i) {
      forget_registers();
      if constexpr (M <= kStreamingRows) {
        for (int64_t at = 0; at < panel_block_bytes(kType); at += 64) {
          __builtin_prefetch(block + at + kPrefetchBytes);
        }
      }
      IVec dots[M];
      block_dots<kType, M>(block + codes_offset(kType), codes, stride, scales, scale_stride, dots);
      const Vec weight_scale = load_half(reinterpret_cast<const uint16_t*>(block));
      Vec minimum;
      if constexpr (kType == BlockType::kQ4_1) {
        minimum = load_half(reinterpret_cast<const uint16_t*>(block + 32));
      }
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) {
        const BlockScale& x = scales[m * scale_stride];
        float* slot = chains + m * kPanelWidth;
        Vec sum =
            fma(to_float(dots[m]), weight_scale * set1(x.scale), i == 0 ? zero() : load(slot));
        if constexpr (kType == BlockType::kQ4_1) sum = fma(minimum, set1(x.sum), sum);
        store(slot, sum);
      }
      block += panel_block_bytes(kType);
      codes += kBlock;
      ++scales;
    }
    if (segment.merges == 0 && !segment.ends_all) continue;
    Vec chain[M];
    for (int m = 0; m < M; ++m) chain[m] = load(chains + m * kPanelWidth);
    end_segment<M>(segment, state, out, chain);
  }
}

template <BlockType kType>
void run_rows(const QuantProduct& product, int64_t row, int64_t rows) {
  switch (rows) {
    case 1: return run_tile<kType, 1>(product, row);
    case 2: return run_tile<kType, 2>(product, row);
    case 3: return run_tile<kType, 3>(product, row);
    case 4: return run_tile<kType, 4>(product, row);
#if defined(YITI_ISA_avx512)
    case 5: return run_tile<kType, 5>(product, row);
    case 6: return run_tile<kType, 6>(product, row);
    case 7: return run_tile<kType, 7>(product, row);
    case 8: return run_tile<kType, 8>(product, row);
#endif
    default: return;
  }
}

// In tiles of nearly equal height: a low one costs more for each of its rows.
template <BlockType kType>
void run_tiles(const QuantProduct& product) {
  const int64_t tiles = (product.rows + kQuantRows - 1) / kQuantRows;
  for (int64_t t = 0, row = 0; t < tiles; ++t) {
    const int64_t next = (t + 1) * product.rows / tiles;
    run_rows<kType>(product, row, next - row);
    row = next;
  }
}

void multiply(const QuantProduct& product) {
  switch (product.type) {
    case BlockType::kQ4_0: return run_tiles<BlockType::kQ4_0>(product);
    case BlockType::kQ4_1: return run_tiles<BlockType::kQ4_1>(product);
    case BlockType::kQ8_0: return run_tiles<BlockType::kQ8_0>(product);
  }
}

// value = scale * code + minimum, each step rounded, as the format's own definition has it.
void dequantise(BlockType type, const uint8_t* block, float* out) {
  float scale[16], minimum[16];
  store(scale, load_half(reinterpret_cast<const uint16_t*>(block)));
  if (type == BlockType::kQ4_1) {
    store(minimum, load_half(reinterpret_cast<const uint16_t*>(block + 32)));
  }
  const uint8_t* codes = block + codes_offset(type);
  for (int64_t g = 0; g < code_groups(type); ++g) {
    uint32_t word[16];
    __builtin_memcpy(word, codes + 64 * g, 64);
    for (int j = 0; j < 4; ++j) {
      float* low = out + (4 * g + j) * 16;
      float* high = low + 16 * 16;
      for (int r = 0; r < 16; ++r) {
        const uint32_t byte = (word[r] >> (8 * j)) & 255;
        if (type == BlockType::kQ8_0) {
          low[r] = scale[r] * static_cast<float>(static_cast<int8_t>(byte));
        } else if (type == BlockType::kQ4_0) {
          low[r] = scale[r] * static_cast<float>(static_cast<int32_t>(byte & 15) - 8);
          high[r] = scale[r] * static_cast<float>(static_cast<int32_t>(byte >> 4) - 8);
        } else {
          low[r] = scale[r] * static_cast<float>(static_cast<int32_t>(byte & 15)) + minimum[r];
          high[r] = scale[r] * static_cast<float>(static_cast<int32_t>(byte >> 4)) + minimum[r];
        }
      }
    }
  }
}

}  // namespace

extern const QuantTable quant_table = {kQuantRows, quantise, multiply, dequantise};

}  // namespace yiti::cpu::YITI_ISA
