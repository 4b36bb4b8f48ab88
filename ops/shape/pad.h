// A constant border.
#pragma once

#include <vector>

#include "core/op.h"

namespace yiti {

const Op& pad_op();

namespace ops {

/// x with widths[2 i] elements of `value` before and widths[2 i + 1] behind it on axis i. One pair
/// for each axis, none negative. Any plain dtype.
Tensor pad(const Tensor& x, std::vector<int64_t> widths, double value = 0);

}  // namespace ops
}  // namespace yiti
