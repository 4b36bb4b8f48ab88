// Where the extremum of an axis lies.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& argmax_op();
const Op& argmin_op();

namespace ops {

/// The index (i64) of the largest element along an axis: the first of equal ones, and of NaNs where
/// there are any. x is f32, f64, i32 or i64. Throws Error for an empty axis.
Tensor argmax(const Tensor& x, int axis = -1, bool keepdim = false);
Tensor argmin(const Tensor& x, int axis = -1, bool keepdim = false);

}  // namespace ops
}  // namespace yiti
