// Views that repeat axes of size 1.
#pragma once

#include <vector>

#include "core/op.h"

namespace yiti {

const Op& expand_op();

namespace ops {

/// x broadcast to `sizes` (-1: as x has it). A view: repeated axes have stride 0.
Tensor expand(const Tensor& x, std::vector<int64_t> sizes);
Tensor expand(const Tensor& x, const Shape& shape);

}  // namespace ops
}  // namespace yiti
