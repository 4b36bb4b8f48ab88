// Arithmetic on two tensors with NumPy's broadcasting. Both are f64, f32, f16, bf16, i64 or i32
// (div and pow: floats) of the same dtype, which is the result's; 16-bit floats compute in f32.
// Integers wrap around. Throws Error where dtypes differ or shapes do not broadcast.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& add_op();
const Op& sub_op();
const Op& mul_op();
const Op& div_op();
const Op& maximum_op();
const Op& minimum_op();
const Op& pow_op();

namespace ops {

Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
/// NaN where either is NaN; equal elements share the gradient.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
/// a^b. The gradient of b is 0 where a is 0.
Tensor pow(const Tensor& a, const Tensor& b);

}  // namespace ops
}  // namespace yiti
