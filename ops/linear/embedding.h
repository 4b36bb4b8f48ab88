// Rows of a matrix by index.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& embedding_op();
const Op& embedding_backward_op();

struct EmbeddingBackwardAttrs {
  int64_t rows = 0;  ///< of the weight
  void visit(AttrVisitor& v) { v.field("rows", rows); }
};

namespace ops {

/// ids [...] (i32 or i64), weight [V, D] of any float or quantised type -> [..., D], f32 (f64 for
/// an f64 weight). The gradient of a float weight adds in order of position. Throws kOutOfRange for
/// an id outside [0, V).
Tensor embedding(const Tensor& ids, const Tensor& weight);

}  // namespace ops
}  // namespace yiti
