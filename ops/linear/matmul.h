// Batched matrix products of activations.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& matmul_op();

namespace ops {

/// a [..., M, K] · b [..., K, N] -> [..., M, N]; leading axes broadcast as NumPy's. f32 or f64,
/// both of one dtype, any strides. Throws kInvalidArgument.
Tensor matmul(const Tensor& a, const Tensor& b);

}  // namespace ops
}  // namespace yiti
