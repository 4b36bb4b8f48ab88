// Attention over a paged cache.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& attention_paged_op();

struct AttentionPagedAttrs {
  double scale = 1;    ///< multiplies q·k
  int64_t window = 0;  ///< keys that a token sees, itself among them; 0: all before it
  void visit(AttrVisitor& v) {
    v.field("scale", scale);
    v.field("window", window);
  }
};

namespace ops {

/// Causal attention of each token over its sequence's keys up to its own position, which must be in
/// the pools. Query head h reads kv head h / (H / Hkv). Rows of a negative sequence are zero.
/// q [T, H, D] f32, pools as kv_write fills them, tables [S, M] i32: the blocks of each sequence in
/// order, sequence and positions [T] i32 -> [T, H, D]. Not differentiable.
/// Throws kInvalidArgument for a sequence, position or block that there is not.
Tensor attention_paged(const Tensor& q, const Tensor& k_pool, const Tensor& v_pool,
                       const Tensor& tables, const Tensor& sequence, const Tensor& positions,
                       double scale, int64_t window);

}  // namespace ops
}  // namespace yiti
