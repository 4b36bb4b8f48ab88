// Parts of an axis.
#pragma once

#include <vector>

#include "core/op.h"

namespace yiti {

const Op& slice_op();
const Op& slice_backward_op();

namespace ops {

/// Elements start, start + step, … below `end` of an axis. Negative start and end count from the
/// end of the axis and both are limited to it, as in Python; step >= 1. A view.
Tensor slice(const Tensor& x, int axis, int64_t start, int64_t end, int64_t step = 1);
/// Zeros of size `size` on `axis`, with dy at start, start + step, …: slice the other way round.
Tensor slice_backward(const Tensor& dy, int axis, int64_t size, int64_t start, int64_t step = 1);
/// x cut along an axis into pieces of these sizes, which add up to the axis. Views.
std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int axis);

}  // namespace ops
}  // namespace yiti
