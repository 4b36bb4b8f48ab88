// Arithmetic operators on tensors. With a number, the number takes the tensor's dtype.
#pragma once

#include "ops/elementwise/binary.h"
#include "ops/elementwise/scale.h"
#include "ops/elementwise/unary.h"

namespace yiti {

inline Tensor operator+(const Tensor& a, const Tensor& b) { return ops::add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return ops::sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return ops::mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return ops::div(a, b); }
inline Tensor operator-(const Tensor& x) { return ops::neg(x); }

inline Tensor operator+(const Tensor& x, double value) { return ops::scale(x, 1, value); }
inline Tensor operator+(double value, const Tensor& x) { return ops::scale(x, 1, value); }
inline Tensor operator-(const Tensor& x, double value) { return ops::scale(x, 1, -value); }
inline Tensor operator-(double value, const Tensor& x) { return ops::scale(x, -1, value); }
inline Tensor operator*(const Tensor& x, double value) { return ops::scale(x, value); }
inline Tensor operator*(double value, const Tensor& x) { return ops::scale(x, value); }
inline Tensor operator/(const Tensor& x, double value) { return ops::scale(x, 1 / value); }

}  // namespace yiti
