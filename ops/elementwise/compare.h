// Comparisons with broadcasting, as elementwise/binary.h but with a result of bool.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& equal_op();
const Op& less_op();
const Op& greater_op();

namespace ops {

Tensor equal(const Tensor& a, const Tensor& b);
Tensor less(const Tensor& a, const Tensor& b);
Tensor greater(const Tensor& a, const Tensor& b);

}  // namespace ops
}  // namespace yiti
