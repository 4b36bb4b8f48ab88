// Functions of each element. f64, f32, f16 or bf16; 16-bit floats compute in f32 and round.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& neg_op();
const Op& exp_op();
const Op& log_op();
const Op& sqrt_op();
const Op& rsqrt_op();
const Op& square_op();
const Op& abs_op();
const Op& tanh_op();
const Op& sigmoid_op();
const Op& relu_op();
const Op& silu_op();
const Op& gelu_op();
const Op& gelu_tanh_op();
const Op& sin_op();
const Op& cos_op();
const Op& relu_backward_op();
const Op& gelu_backward_op();

namespace ops {

Tensor neg(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
/// 1 / sqrt(x).
Tensor rsqrt(const Tensor& x);
Tensor square(const Tensor& x);
/// The gradient at 0 is 0.
Tensor abs(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
/// max(x, 0); the gradient at 0 is 0.
Tensor relu(const Tensor& x);
/// x * sigmoid(x).
Tensor silu(const Tensor& x);
/// x * Phi(x), Phi the normal distribution's cumulative function.
Tensor gelu(const Tensor& x);
/// GELU by its tanh approximation.
Tensor gelu_tanh(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);

}  // namespace ops
}  // namespace yiti
