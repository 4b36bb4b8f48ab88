// The largest elements of rows.
#pragma once

#include "core/op.h"

namespace yiti {

struct TopKAttrs {
  int64_t k = 1;
  void visit(AttrVisitor& v) { v.field("k", k); }
};

const Op& top_k_op();

namespace ops {

struct TopK {
  Tensor values;   ///< [..., k], descending
  Tensor indices;  ///< [..., k], i64
};

/// The k largest of each row of x [..., D] (f32 or f64), equal ones by lower index; NaN counts as
/// the largest. Throws Error unless 0 <= k <= D.
TopK top_k(const Tensor& x, int64_t k);

}  // namespace ops
}  // namespace yiti
