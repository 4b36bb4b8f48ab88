// Root-mean-square norm.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& rms_norm_op();
const Op& rms_norm_backward_input_op();
const Op& rms_norm_backward_weight_op();

struct NormAttrs {
  double eps = 1e-6;
  void visit(AttrVisitor& v) { v.field("eps", eps); }
};

namespace ops {

/// x / sqrt(mean(x²) + eps) * weight over the last axis (Zhang & Sennrich 2019).
/// x [..., D], weight [D] -> [..., D]; f32 or f64. Throws kInvalidArgument.
Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps);

}  // namespace ops
}  // namespace yiti
