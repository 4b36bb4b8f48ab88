// The squared norm of a gradient.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& square_sum_op();

namespace ops {

/// The sum of squares of x [...] (f32 or f64) as one f64: chunks of 4096 elements, each summed in
/// f64 in a fixed order, are added in order, whatever the threads.
Tensor square_sum(const Tensor& x);

}  // namespace ops
}  // namespace yiti
