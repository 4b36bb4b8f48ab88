// Conversion between plain dtypes.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& cast_op();

namespace ops {

/// x as another plain dtype: floats round to nearest even; floats to integers are cut towards
/// zero and limited to the type's range, NaN becomes 0. x itself where it has the dtype already.
Tensor cast(const Tensor& x, DType dtype);

}  // namespace ops
}  // namespace yiti
