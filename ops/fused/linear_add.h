// A product added to what is there: the low-rank part of an adapted layer.
#pragma once

#include "ops/linear/linear.h"

namespace yiti {

const Op& linear_add_op();

namespace ops {

/// addend + linear(x, weight), with the bits of the two ops, but the product is never stored apart.
/// addend [..., N], x [..., K], weight [N, K] -> [..., N]. Gradients as theirs. Throws
/// kInvalidArgument.
Tensor linear_add(const Tensor& addend, const Tensor& x, const Tensor& weight);

}  // namespace ops
}  // namespace yiti
