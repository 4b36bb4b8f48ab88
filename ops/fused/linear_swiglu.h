// The gated half of a feed-forward layer: two products with the same x, and the gate.
#pragma once

#include "ops/linear/linear.h"

namespace yiti {

/// Has LinearAttrs.
const Op& linear_swiglu_op();

namespace ops {

/// swiglu(linear(x, gate_weight), linear(x, up_weight)) with the bits of the three ops, but with
/// activations quantised once, and gate and up never stored whole where both weights are quantised.
/// x [..., K], weights [N, K] -> [..., N]; dtypes as linear's. Throws kInvalidArgument.
Tensor linear_swiglu(const Tensor& x, const Tensor& gate_weight, const Tensor& up_weight,
                     int64_t leaf_unit = 0, bool exact_activations = false);

}  // namespace ops
}  // namespace yiti
