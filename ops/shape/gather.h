// Reading and adding at indices along an axis.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& gather_op();
const Op& scatter_add_op();
const Op& one_hot_op();

namespace ops {

/// y[…, i, …] = x[…, index[…, i, …], …] on `axis`: index (i32 or i64) has x's shape but for that
/// axis, and y has index's. Any plain dtype. kOutOfRange for an index outside the axis.
Tensor gather(const Tensor& x, const Tensor& index, int axis);
/// x with source[…, i, …] added at […, index[…, i, …], …], in the order of i. f32, f64, i32, i64.
Tensor scatter_add(const Tensor& x, const Tensor& index, const Tensor& source, int axis);
/// 1 at the index along a new last axis of `size`, else 0, in f32.
Tensor one_hot(const Tensor& index, int64_t size);

}  // namespace ops
}  // namespace yiti
