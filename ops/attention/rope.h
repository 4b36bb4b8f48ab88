// Rotary position embedding.
#pragma once

#include <utility>

#include "core/op.h"

namespace yiti {

const Op& rope_table_op();
const Op& rope_op();

struct RopeTableAttrs {
  double attention_factor = 1;  ///< multiplies both tables (YaRN)
  void visit(AttrVisitor& v) { v.field("attention_factor", attention_factor); }
};

struct RopeAttrs {
  bool inverse = false;  ///< rotates back
  void visit(AttrVisitor& v) { v.field("inverse", inverse); }
};

namespace ops {

/// cos and sin of positions[t] * inv_freq[i], times attention_factor: computed in double, rounded
/// once. positions [T] i32, inv_freq [P] f32 -> two of [T, P] f32. Not differentiable.
std::pair<Tensor, Tensor> rope_table(const Tensor& positions, const Tensor& inv_freq,
                                     double attention_factor);

/// Rotates the pairs (x[i], x[i + P]) of each head's first 2P elements by the angle of table column
/// i; the rest passes through (Su et al. 2021, in Hugging Face's half-split layout).
/// x [T, H, D], cos and sin [T, P], 2P <= D -> [T, H, D]; f32 or f64. Differentiable in x only.
Tensor rope(const Tensor& x, const Tensor& cos, const Tensor& sin);

}  // namespace ops
}  // namespace yiti
