// Rows of a matrix by number.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& index_select_op();
const Op& index_select_backward_op();

namespace ops {

/// Rows of x [R, ...] at index [N] (i32 or i64): [N, ...]. Any plain dtype. kOutOfRange for an
/// index outside the rows.
Tensor index_select(const Tensor& x, const Tensor& index);
/// Zeros [rows, ...] with the rows of dy [N, ...] added at index [N], in the order of N.
Tensor index_select_backward(const Tensor& dy, const Tensor& index, int64_t rows);

}  // namespace ops
}  // namespace yiti
