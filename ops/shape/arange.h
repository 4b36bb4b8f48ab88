// Numbers in a row.
#pragma once

#include "core/tensor.h"

namespace yiti::ops {

/// start, start + step, … : `count` numbers of a plain dtype. Untraced.
Tensor arange(double start, double step, int64_t count, DType dtype, const DevicePtr& device);

}  // namespace yiti::ops
