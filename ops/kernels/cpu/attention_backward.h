// The gradient of causal attention for one query head over one document.
//
// Probabilities are computed again from lse, block by block (64 queries by 64 keys), as in
// FlashAttention: for each block of keys, in ascending order, the blocks of queries that see them,
// in ascending order. dK and dV of a block of keys gather in scratch; dQ gathers in place.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/attention/key_block.h"
#include "ops/kernels/cpu/isa_table.h"

namespace yiti::cpu {

/// Rows of one head at a distance in floats.
struct HeadRows {
  const float* data;
  int64_t stride;
};

struct AttentionBackward {
  HeadRows q, k, v, out, dout;
  const float* lse;
  int64_t lse_stride;
  int64_t tokens;
  int64_t head_dim;
  int64_t window;  ///< as in AttentionTile
  float scale;
  KeyForm form;  ///< what K and V are rounded to, as the forward did
  float* dq;
  int64_t dq_stride;
  float *dk, *dv;  ///< this head's part, rows dk_stride floats apart
  int64_t dk_stride;
  float* scratch;  ///< scratch(tokens, head_dim) floats, 64-byte aligned
};

struct AttentionBackwardTable {
  int64_t (*scratch)(int64_t tokens, int64_t head_dim);
  void (*run)(const AttentionBackward& unit);
  /// sum[i] += x[i]
  void (*add)(const float* x, float* sum, int64_t n);
};

YITI_DECLARE_ISA_TABLE(AttentionBackwardTable, attention_backward_table)

}  // namespace yiti::cpu
