// Convolution of images.
#pragma once

#include "core/op.h"
#include "ops/conv/window.h"

namespace yiti {

struct Conv2dAttrs : WindowAttrs {
  int64_t groups = 1;
  void visit(AttrVisitor& v) {
    WindowAttrs::visit(v);
    v.field("groups", groups);
  }
};

const Op& conv2d_op();
const Op& conv2d_backward_input_op();
const Op& conv2d_backward_weight_op();

namespace ops {

struct Conv2dOptions {
  int64_t stride = 1, padding = 0, dilation = 1, groups = 1;  ///< alike on both axes
};

/// x [B, C, H, W] with weight [O, C / groups, kh, kw] and bias [O] (or none): [B, O, H', W']. f32
/// or f64. An image's result depends on that image alone. Throws Error where sizes do not fit.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const Conv2dOptions& options = {});
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dAttrs& attrs);

}  // namespace ops
}  // namespace yiti
