// Quantised matrices as floats.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& dequantise_op();

namespace ops {

/// weight [N, K] of any float or quantised type, in either layout -> the same values as f32.
Tensor dequantise(const Tensor& weight);

}  // namespace ops
}  // namespace yiti
