// Softmax and log-softmax of the last axis.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& softmax_op();
const Op& softmax_backward_op();
const Op& log_softmax_op();
const Op& log_softmax_backward_op();

namespace ops {

/// e^x / sum(e^x) over the last axis, less its largest element first. x [..., D] -> [..., D]; f32
/// or f64. A row of -inf alone, or with a NaN or +inf, gives NaN.
Tensor softmax(const Tensor& x);
/// x - log(sum(e^x)) over the last axis, likewise.
Tensor log_softmax(const Tensor& x);

}  // namespace ops
}  // namespace yiti
