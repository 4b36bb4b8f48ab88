// The sum that undoes broadcasting.
#pragma once

#include "core/tensor.h"

namespace yiti::ops {

/// x summed over the axes that broadcasting `shape` to x's shape repeats; x itself where it has
/// the shape. Throws Error where `shape` does not broadcast to x's.
Tensor sum_to(const Tensor& x, const Shape& shape);

}  // namespace yiti::ops
