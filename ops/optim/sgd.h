// Stochastic gradient descent, one step in place.
#pragma once

#include "core/op.h"

namespace yiti {

struct SgdAttrs {
  double lr = 1e-3, momentum = 0, weight_decay = 0;
  bool nesterov = false;
  double grad_scale = 1;  ///< multiplies the gradient: clipping, unscaling
  void visit(AttrVisitor& v) {
    v.field("lr", lr);
    v.field("momentum", momentum);
    v.field("weight_decay", weight_decay);
    v.field("nesterov", nesterov);
    v.field("grad_scale", grad_scale);
  }
};

const Op& sgd_step_op();
const Op& sgd_momentum_step_op();

namespace ops {

/// Updates param (f32 or f64, contiguous) from grad, as torch.optim.SGD does without dampening.
/// `buffer`, of the same shape, starts as zeros; without one there is no momentum.
void sgd_step(const Tensor& param, const Tensor& grad, const SgdAttrs& attrs,
              const Tensor& buffer = {});

}  // namespace ops
}  // namespace yiti
