// Attention of packed documents, as training computes it.
#pragma once

#include <string>

#include "core/op.h"

namespace yiti {

const Op& attention_op();
const Op& attention_backward_op();

struct AttentionAttrs {
  double scale = 1;              ///< multiplies q·k
  int64_t window = 0;            ///< keys that a token sees, itself among them; 0: all before it
  std::string kv_dtype = "f32";  ///< what K and V are rounded to: see kv_types.h
  void visit(AttrVisitor& v) {
    v.field("scale", scale);
    v.field("window", window);
    v.field("kv_dtype", kv_dtype);
  }
};

namespace ops {

/// Causal attention of each token over its own document, with the bits that attention_paged gives
/// over a cache of `kv_dtype`. Query head h reads kv head h / (H / Hkv).
/// q [T, H, D], k and v [T, Hkv, D], positions [T] i32: 0 where a document starts, then one more
/// from row to row -> [T, H, D]; f32 or f64. Rounding K and V passes gradients straight through.
/// Throws kInvalidArgument.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& positions,
                 double scale, int64_t window, DType kv_dtype);

}  // namespace ops
}  // namespace yiti
