// Functions of each element with parameters; dtypes as in elementwise/unary.h.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& scale_op();
const Op& clamp_op();

namespace ops {

/// x * factor + offset.
Tensor scale(const Tensor& x, double factor, double offset = 0);
/// x limited to [low, high]; NaN stays. The gradient is 0 outside.
Tensor clamp(const Tensor& x, double low, double high);

}  // namespace ops
}  // namespace yiti
