// Layer norm.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& layer_norm_op();
const Op& layer_norm_backward_input_op();
const Op& layer_norm_backward_weight_op();

namespace ops {

/// (x - mean) / sqrt(variance + eps) * weight + bias over the last axis (Ba et al. 2016).
/// x [..., D], weight and bias [D] or undefined -> [..., D]; f32 or f64. Throws kInvalidArgument.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);

}  // namespace ops
}  // namespace yiti
