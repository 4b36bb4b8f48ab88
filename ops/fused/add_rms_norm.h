// A residual sum and the norm of it in one pass.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& add_rms_norm_op();

namespace ops {

struct AddRmsNorm {
  Tensor sum, normed;
};

/// sum = x + y, normed = rms_norm(sum, weight, eps): the bits of the two ops.
/// x, y [..., D] of one shape, weight [D]; f32 or f64. Throws kInvalidArgument.
AddRmsNorm add_rms_norm(const Tensor& x, const Tensor& y, const Tensor& weight, double eps);

}  // namespace ops
}  // namespace yiti
