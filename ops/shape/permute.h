// Views with axes in another order.
#pragma once

#include <vector>

#include "core/op.h"

namespace yiti {

const Op& permute_op();

namespace ops {

/// Axis i of the result is axis order[i] of x. A view.
Tensor permute(const Tensor& x, std::vector<int64_t> order);
/// x with two axes exchanged. A view.
Tensor transpose(const Tensor& x, int first, int second);

}  // namespace ops
}  // namespace yiti
