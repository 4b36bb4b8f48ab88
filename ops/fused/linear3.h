// Three products with the same x: q, k and v of attention.
#pragma once

#include <array>

#include "ops/linear/linear.h"

namespace yiti {

/// Has LinearAttrs. Its kernel takes quantised weights only: for floats there is nothing to share.
const Op& linear3_op();

namespace ops {

/// linear(x, w0), linear(x, w1), linear(x, w2) with the bits of the three ops; activations are
/// quantised once and one parallel region makes all. x [..., K], wi [Ni, K] -> [..., Ni].
/// Throws kInvalidArgument.
std::array<Tensor, 3> linear3(const Tensor& x, const Tensor& w0, const Tensor& w1, const Tensor& w2,
                              int64_t leaf_unit = 0, bool exact_activations = false);

}  // namespace ops
}  // namespace yiti
