// Choosing between two tensors, element by element.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& where_op();

namespace ops {

/// a where condition (bool) holds, else b; all three broadcast, a and b of one plain dtype.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);

}  // namespace ops
}  // namespace yiti
