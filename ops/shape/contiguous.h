// Row-major copies, and copies between strided tensors.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& contiguous_op();

namespace ops {

/// x itself where it is contiguous, else a row-major copy. Any plain dtype.
Tensor contiguous(const Tensor& x);

}  // namespace ops

namespace cpu {

/// target[i] = source[i] for tensors of one shape (source: one that broadcasts to it) and plain
/// dtype, whatever their strides. They may not overlap.
void copy_elements(const Tensor& source, const Tensor& target, Device& device);

}  // namespace cpu
}  // namespace yiti
