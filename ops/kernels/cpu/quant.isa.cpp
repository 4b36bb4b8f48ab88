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
void run_tile(const QuantTile& tile) {
  float state[tile_state(M)];
  float chains[M * kPanelWidth];
  const uint8_t* block = tile.panel;
  const int8_t* codes = tile.codes;
  const BlockScale* scales = tile.scales;
  const int64_t stride = tile.blocks * kBlock, scale_stride = tile.blocks;
  for (int s = 0; s < tile.segment_count; ++s) {
    const LeafSegment& segment = tile.segments[s];
    Vec chain[M];
    begin_segment<M>(segment, state, chain);
    for (int m = 0; m < M; ++m) store(chains + m * kPanelWidth, chain[m]);
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
        Vec sum = fma(to_float(dots[m]), weight_scale * set1(x.scale), load(slot));
        if constexpr (kType == BlockType::kQ4_1) sum = fma(minimum, set1(x.sum), sum);
        store(slot, sum);
      }
      block += panel_block_bytes(kType);
      codes += kBlock;
      ++scales;
    }
    for (int m = 0; m < M; ++m) chain[m] = load(chains + m * kPanelWidth);
    end_segment<M>(segment, state, tile.out, chain);
  }
}

template <BlockType kType>
void run_rows(const QuantTile& tile, int rows) {
  switch (rows) {
    case 1: return run_tile<kType, 1>(tile);
    case 2: return run_tile<kType, 2>(tile);
    case 3: return run_tile<kType, 3>(tile);
    case 4: return run_tile<kType, 4>(tile);
#if defined(YITI_ISA_avx512)
    case 5: return run_tile<kType, 5>(tile);
    case 6: return run_tile<kType, 6>(tile);
    case 7: return run_tile<kType, 7>(tile);
    case 8: return run_tile<kType, 8>(tile);
#endif
    default: return;
  }
}

void tile(const QuantTile& job, int rows) {
  switch (job.type) {
    case BlockType::kQ4_0: return run_rows<BlockType::kQ4_0>(job, rows);
    case BlockType::kQ4_1: return run_rows<BlockType::kQ4_1>(job, rows);
    case BlockType::kQ8_0: return run_rows<BlockType::kQ8_0>(job, rows);
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

extern const QuantTable quant_table = {kQuantRows, quantise, tile, dequantise};

}  // namespace yiti::cpu::YITI_ISA
