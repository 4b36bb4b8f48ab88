#include "ops/elementwise/unary.h"

#include "ops/elementwise/binary_family.h"
#include "ops/elementwise/compare.h"
#include "ops/elementwise/operators.h"
#include "ops/elementwise/unary_family.h"
#include "ops/elementwise/where.h"

namespace yiti {
namespace {

Tensor constant(const Tensor& like, double value) {
  return Tensor::full({}, value, like.dtype(), like.device());
}

// dx = slope(x, y, dy), of what the op keeps.
template <class F>
Op::Gradient by(F slope) {
  return [slope](const GradArgs& args) -> std::vector<Tensor> {
    return {slope(args.in[0], args.out[0], args.grad_out[0])};
  };
}

// x * s(x)' + s(x) for a gate s with derivative `ds`.
Tensor gated(const Tensor& x, const Tensor& s, const Tensor& ds, const Tensor& dy) {
  return dy * (s + x * ds);
}

Tensor gelu_tanh_slope(const Tensor& x, const Tensor& dy) {
  constexpr double kSqrt2OverPi = 0.79788456080286535588, kCubic = 0.044715;
  const Tensor squared = ops::square(x);
  const Tensor t = ops::tanh(x * ops::scale(squared, kSqrt2OverPi * kCubic, kSqrt2OverPi));
  const Tensor inner = ops::scale(squared, 3 * kSqrt2OverPi * kCubic, kSqrt2OverPi);
  return gated(x, ops::scale(t, 0.5, 0.5), 0.5 * (1 - ops::square(t)) * inner, dy);
}

}  // namespace

const Op& neg_op() {
  static const Op op =
      unary<UnaryFn::kNeg>("neg")
          .doc("-x.")
          .source("IEEE 754-2019")
          .gradient(by([](auto&, auto&, const Tensor& dy) { return ops::neg(dy); }), {})
          .build();
  return op;
}

const Op& exp_op() {
  static const Op op =
      unary<UnaryFn::kExp>("exp")
          .doc("e to the power of x.")
          .source("Cody & Waite 1980")
          .gradient(by([](auto&, const Tensor& y, const Tensor& dy) { return dy * y; }), {}, {0})
          .build();
  return op;
}

const Op& log_op() {
  static const Op op =
      unary<UnaryFn::kLog>("log")
          .doc("The natural logarithm.")
          .source("IEEE 754-2019, section 9.2")
          .gradient(by([](const Tensor& x, auto&, const Tensor& dy) { return dy / x; }), {0})
          .build();
  return op;
}

const Op& sqrt_op() {
  static const Op op =
      unary<UnaryFn::kSqrt>("sqrt")
          .doc("The square root.")
          .source("IEEE 754-2019, section 5.4")
          .gradient(by([](auto&, const Tensor& y, const Tensor& dy) { return dy / (y * 2); }), {},
                    {0})
          .build();
  return op;
}

const Op& rsqrt_op() {
  static const Op op =
      unary<UnaryFn::kRsqrt>("rsqrt")
          .doc("1 / sqrt(x), both rounded.")
          .source("IEEE 754-2019, section 5.4")
          .gradient(
              by([](auto&, const Tensor& y, const Tensor& dy) { return dy * -0.5 * (y * y * y); }),
              {}, {0})
          .build();
  return op;
}

const Op& square_op() {
  static const Op op =
      unary<UnaryFn::kSquare>("square")
          .doc("x * x.")
          .source("IEEE 754-2019")
          .gradient(by([](const Tensor& x, auto&, const Tensor& dy) { return dy * x * 2; }), {0})
          .build();
  return op;
}

const Op& abs_op() {
  static const Op op = unary<UnaryFn::kAbs>("abs")
                           .doc("The absolute value; the gradient at 0 is 0.")
                           .source("IEEE 754-2019, section 5.5")
                           .gradient(by([](const Tensor& x, auto&, const Tensor& dy) {
                                       const Tensor zero = constant(x, 0);
                                       const Tensor falling =
                                           ops::where(ops::less(x, zero), ops::neg(dy), zero);
                                       return ops::where(ops::greater(x, zero), dy, falling);
                                     }),
                                     {0})
                           .build();
  return op;
}

const Op& tanh_op() {
  static const Op op = unary<UnaryFn::kTanh>("tanh")
                           .doc("The hyperbolic tangent.")
                           .source("DLMF 4.28")
                           .gradient(by([](auto&, const Tensor& y, const Tensor& dy) {
                                       return dy * (1 - ops::square(y));
                                     }),
                                     {}, {0})
                           .build();
  return op;
}

const Op& sigmoid_op() {
  static const Op op =
      unary<UnaryFn::kSigmoid>("sigmoid")
          .doc("1 / (1 + exp(-x)).")
          .source("The logistic function")
          .gradient(by([](auto&, const Tensor& y, const Tensor& dy) { return dy * y * (1 - y); }),
                    {}, {0})
          .build();
  return op;
}

const Op& relu_op() {
  static const Op op = unary<UnaryFn::kRelu>("relu")
                           .doc("max(x, 0); the gradient at 0 is 0.")
                           .source("Nair & Hinton 2010")
                           .gradient(by([](auto&, const Tensor& y, const Tensor& dy) {
                                       return relu_backward_op()({dy, y})[0];
                                     }),
                                     {}, {0})
                           .build();
  return op;
}

const Op& silu_op() {
  static const Op op = unary<UnaryFn::kSilu>("silu")
                           .doc("x * sigmoid(x).")
                           .source("Elfwing et al. 2017; Hendrycks & Gimpel 2016")
                           .gradient(by([](const Tensor& x, auto&, const Tensor& dy) {
                                       const Tensor s = ops::sigmoid(x);
                                       return gated(x, s, s * (1 - s), dy);
                                     }),
                                     {0})
                           .build();
  return op;
}

const Op& gelu_op() {
  static const Op op = unary<UnaryFn::kGelu>("gelu")
                           .doc("x * Phi(x) = x (1 + erf(x / sqrt 2)) / 2.")
                           .source("Hendrycks & Gimpel 2016")
                           .gradient(by([](const Tensor& x, auto&, const Tensor& dy) {
                                       return gelu_backward_op()({dy, x})[0];
                                     }),
                                     {0})
                           .build();
  return op;
}

const Op& relu_backward_op() {
  static const Op op = binary<BinaryFn::kReluBackward>("relu_backward")
                           .doc(
                               "The gradient of relu: a, that of its output, where b, the output, "
                               "is above 0; else 0.")
                           .source("Nair & Hinton 2010")
                           .not_differentiable()
                           .build();
  return op;
}

const Op& gelu_backward_op() {
  static const Op op =
      binary<BinaryFn::kGeluBackward>("gelu_backward")
          .doc("The gradient of gelu: a, that of its output, by Phi(b) + b phi(b) of its input b.")
          .source("Hendrycks & Gimpel 2016")
          .not_differentiable()
          .accuracy(4)
          .build();
  return op;
}

const Op& gelu_tanh_op() {
  static const Op op =
      unary<UnaryFn::kGeluTanh>("gelu_tanh")
          .doc("x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2.")
          .source("Hendrycks & Gimpel 2016, section 2")
          .gradient(
              by([](const Tensor& x, auto&, const Tensor& dy) { return gelu_tanh_slope(x, dy); }),
              {0})
          .build();
  return op;
}

const Op& sin_op() {
  static const Op op =
      unary<UnaryFn::kSin>("sin")
          .doc("The sine of x radians, computed in f64.")
          .source("IEEE 754-2019, section 9.2")
          .gradient(by([](const Tensor& x, auto&, const Tensor& dy) { return dy * ops::cos(x); }),
                    {0})
          .build();
  return op;
}

const Op& cos_op() {
  static const Op op =
      unary<UnaryFn::kCos>("cos")
          .doc("The cosine of x radians, computed in f64.")
          .source("IEEE 754-2019, section 9.2")
          .gradient(
              by([](const Tensor& x, auto&, const Tensor& dy) { return -(dy * ops::sin(x)); }), {0})
          .build();
  return op;
}

namespace ops {

Tensor neg(const Tensor& x) { return neg_op()({x})[0]; }
Tensor exp(const Tensor& x) { return exp_op()({x})[0]; }
Tensor log(const Tensor& x) { return log_op()({x})[0]; }
Tensor sqrt(const Tensor& x) { return sqrt_op()({x})[0]; }
Tensor rsqrt(const Tensor& x) { return rsqrt_op()({x})[0]; }
Tensor square(const Tensor& x) { return square_op()({x})[0]; }
Tensor abs(const Tensor& x) { return abs_op()({x})[0]; }
Tensor tanh(const Tensor& x) { return tanh_op()({x})[0]; }
Tensor sigmoid(const Tensor& x) { return sigmoid_op()({x})[0]; }
Tensor relu(const Tensor& x) { return relu_op()({x})[0]; }
Tensor silu(const Tensor& x) { return silu_op()({x})[0]; }
Tensor gelu(const Tensor& x) { return gelu_op()({x})[0]; }
Tensor gelu_tanh(const Tensor& x) { return gelu_tanh_op()({x})[0]; }
Tensor sin(const Tensor& x) { return sin_op()({x})[0]; }
Tensor cos(const Tensor& x) { return cos_op()({x})[0]; }

}  // namespace ops
}  // namespace yiti
