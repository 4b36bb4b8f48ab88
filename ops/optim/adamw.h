// AdamW, one step in place.
#pragma once

#include "core/op.h"

namespace yiti {

struct AdamwAttrs {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01;
  int64_t step = 1;       ///< 1 for the first one
  double grad_scale = 1;  ///< multiplies the gradient: clipping, unscaling
  void visit(AttrVisitor& v) {
    v.field("lr", lr);
    v.field("beta1", beta1);
    v.field("beta2", beta2);
    v.field("eps", eps);
    v.field("weight_decay", weight_decay);
    v.field("step", step);
    v.field("grad_scale", grad_scale);
  }
};

const Op& adamw_step_op();

namespace ops {

/// Updates param, m and v (f32 or f64, of one shape, contiguous) from grad, as torch.optim.AdamW
/// does. m and v start as zeros. Throws kInvalidArgument for a step below 1.
void adamw_step(const Tensor& param, const Tensor& grad, const Tensor& m, const Tensor& v,
                const AdamwAttrs& attrs);

}  // namespace ops
}  // namespace yiti
