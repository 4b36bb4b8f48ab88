// The elementwise functions on single numbers: the references, and the kernels of the dtypes that
// have no vector ones.
#pragma once

#include <cmath>
#include <type_traits>

#include "ops/kernels/cpu/elementwise.h"

namespace yiti {

using cpu::BinaryFn;
using cpu::UnaryFn;

/// Those that integers have no use for.
inline constexpr bool for_floats(BinaryFn f) {
  return f == BinaryFn::kDiv || f == BinaryFn::kPow || f == BinaryFn::kReluBackward ||
         f == BinaryFn::kGeluBackward;
}

/// Integers wrap around.
template <BinaryFn F, class T>
auto apply(T a, T b) {
  if constexpr (F == BinaryFn::kEqual) {
    return a == b;
  } else if constexpr (F == BinaryFn::kLess) {
    return a < b;
  } else if constexpr (F == BinaryFn::kGreater) {
    return a > b;
  } else if constexpr (F == BinaryFn::kMaximum) {
    return a > b || a != a ? a : b;
  } else if constexpr (F == BinaryFn::kMinimum) {
    return a < b || a != a ? a : b;
  } else if constexpr (F == BinaryFn::kDiv) {
    return a / b;
  } else if constexpr (F == BinaryFn::kPow) {
    return std::pow(a, b);
  } else if constexpr (F == BinaryFn::kReluBackward) {
    return b > 0 ? a : T{0};
  } else if constexpr (F == BinaryFn::kGeluBackward) {
    constexpr double kInverseSqrt2 = 0.70710678118654752440, kInverseSqrt2Pi = 0.39894228040143268;
    const double x = static_cast<double>(b);
    const double slope =
        0.5 * (1 + std::erf(x * kInverseSqrt2)) + x * kInverseSqrt2Pi * std::exp(-0.5 * x * x);
    return static_cast<T>(static_cast<double>(a) * slope);
  } else if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    const U x = static_cast<U>(a), y = static_cast<U>(b);
    return static_cast<T>(F == BinaryFn::kAdd ? x + y : F == BinaryFn::kSub ? x - y : x * y);
  } else if constexpr (F == BinaryFn::kAdd) {
    return a + b;
  } else if constexpr (F == BinaryFn::kSub) {
    return a - b;
  } else {
    return a * b;
  }
}

template <UnaryFn F>
double apply(double x, double p, double q) {
  switch (F) {
    case UnaryFn::kNeg: return -x;
    case UnaryFn::kExp: return std::exp(x);
    case UnaryFn::kSqrt: return std::sqrt(x);
    case UnaryFn::kRsqrt: return 1 / std::sqrt(x);
    case UnaryFn::kSquare: return x * x;
    case UnaryFn::kAbs: return std::fabs(x);
    case UnaryFn::kTanh: return std::tanh(x);
    case UnaryFn::kSigmoid: return 1 / (1 + std::exp(-x));
    case UnaryFn::kRelu: return x < 0 ? 0 : x;
    case UnaryFn::kSilu: return x / (1 + std::exp(-x));
    case UnaryFn::kGelu: return 0.5 * x * (1 + std::erf(x * 0.70710678118654752440));
    case UnaryFn::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case UnaryFn::kScale: return x * p + q;
    case UnaryFn::kClamp: return x < p ? p : x > q ? q : x;
    case UnaryFn::kLog: return std::log(x);
    case UnaryFn::kSin: return std::sin(x);
    case UnaryFn::kCos: return std::cos(x);
  }
  return x;
}

}  // namespace yiti
