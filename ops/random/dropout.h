// Dropout.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& dropout_op();

namespace ops {

/// x (f32 or f64) with each element 0 with probability p, else divided by 1 - p. Element i
/// (row-major) of call `offset` depends on seed, offset and i alone: give each call another offset.
/// Throws Error unless 0 <= p <= 1.
Tensor dropout(const Tensor& x, double p, int64_t seed, int64_t offset);

}  // namespace ops
}  // namespace yiti
