// The inner kernels of products with quantised weights (panels.h) and of the activations that meet
// them: 8-bit codes in blocks of 32 with one scale.
//
// A block's product is an exact integer, whatever the instruction set; it is scaled by weight and
// activation scale, and Q4_1's minimum meets the sum of the block's rounded activations. Each
// element of the result is one chain over the blocks of a leaf; leaves are added in the tree that
// gemm.h follows.
#pragma once

#include "ops/kernels/cpu/gemm.h"
#include "ops/kernels/cpu/panels.h"

namespace yiti::cpu {

/// What goes with 32 codes.
struct BlockScale {
  float scale;  ///< value = scale * code
  float sum;    ///< scale * code_sum: what a minimum is multiplied by
  int32_t code_sum;
};

/// Panels of weights and the rows of activations that they meet.
struct QuantProduct {
  BlockType type;
  bool unpacked;             ///< the panel is what QuantTable::unpack made of it
  const uint8_t* panel;      ///< first block; panels lie one behind the other
  int64_t panels;            ///< 1 of those that are unpacked
  const int8_t* codes;       ///< rows of 32 * blocks
  const BlockScale* scales;  ///< rows of `blocks`
  int64_t rows;
  int64_t blocks;
  const int32_t* leaf_blocks;  ///< blocks of each leaf
  int leaves;                  ///< 1 … kMaxQuantLeaves
  TileOutput out;              ///< columns: of all panels
};

inline constexpr int kMaxQuantLeaves = 8;

/// A block of 4-bit weights with every code in a byte of its own.
struct UnpackedBlock {
  float scale[16];
  float minimum[16];   ///< Q4_1 only
  uint8_t codes[512];  ///< 8 groups of 64, as an 8-bit panel has them; not negative
};

struct QuantTable {
  int rows;  ///< of activations that meet a block of weights at once
  /// From this many rows on, multiplying an unpacked panel repays unpacking it.
  int unpack_rows;
  /// `blocks` of a panel of 4-bit weights.
  void (*unpack)(BlockType type, const uint8_t* panel, int64_t blocks, UnpackedBlock* out);
  /// One row of 32 * blocks floats: scale = largest magnitude / 127, codes to nearest even. A row
  /// with a NaN or an infinity gets NaN scales, so that its results are NaN.
  void (*quantise)(const float* x, int64_t blocks, int8_t* codes, BlockScale* scales);
  void (*multiply)(const QuantProduct& product);
  /// One block of a panel to floats [32 columns][16 rows].
  void (*dequantise)(BlockType type, const uint8_t* block, float* out);
};

YITI_DECLARE_ISA_TABLE(QuantTable, quant_table)

}  // namespace yiti::cpu
