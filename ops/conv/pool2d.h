// Pooling of images.
#pragma once

#include "core/op.h"
#include "ops/conv/window.h"

namespace yiti {

const Op& max_pool2d_op();
const Op& avg_pool2d_op();
const Op& avg_pool2d_backward_op();

namespace ops {

struct Pool2dOptions {
  int64_t kernel = 2;
  int64_t stride = 0;  ///< 0: as the kernel
  int64_t padding = 0;
  int64_t dilation = 1;           ///< max_pool2d only
  bool count_include_pad = true;  ///< avg_pool2d only: the padding counts as zeros
};

/// The largest of each window of x [B, C, H, W] (f32 or f64); the padding never wins, and is at
/// most half a kernel. NaN where any is NaN; the first of equal elements gets the gradient.
Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options = {});
/// The mean of each window.
Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options = {});

}  // namespace ops
}  // namespace yiti
