// The gated linear unit of Llama's feed-forward layer.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& swiglu_op();
const Op& swiglu_backward_op();

namespace ops {

/// silu(gate) * up, elementwise (Shazeer 2020): the same bits as the two ops one after the other.
/// gate and up [..., D] -> [..., D]; f32 or f64. Throws kInvalidArgument.
Tensor swiglu(const Tensor& gate, const Tensor& up);

}  // namespace ops
}  // namespace yiti
