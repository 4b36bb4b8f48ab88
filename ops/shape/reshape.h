// The same elements in another shape, and axes of size 1.
#pragma once

#include <concepts>
#include <vector>

#include "core/op.h"

namespace yiti {

const Op& reshape_op();
const Op& squeeze_op();
const Op& unsqueeze_op();

namespace ops {

/// x [*] under `sizes`, one of which may be -1: what is left. A view where the strides allow it,
/// else a copy.
Tensor reshape(const Tensor& x, std::vector<int64_t> sizes);
template <std::same_as<Shape> S>  // so that a list in braces is never taken for a Shape
Tensor reshape(const Tensor& x, const S& shape) {
  return reshape(x, std::vector<int64_t>(shape.begin(), shape.end()));
}
/// Without an axis of size 1.
Tensor squeeze(const Tensor& x, int axis);
/// With an axis of size 1 at `axis` of the result.
Tensor unsqueeze(const Tensor& x, int axis);

}  // namespace ops
}  // namespace yiti
