#include "ops/elementwise/binary.h"

#include "core/error.h"
#include "ops/elementwise/binary_family.h"
#include "ops/elementwise/compare.h"
#include "ops/elementwise/scale.h"
#include "ops/elementwise/unary.h"
#include "ops/elementwise/where.h"
#include "ops/reduce/sum_to.h"

namespace yiti {
namespace {

constexpr const char* kNumpy =
    "NumPy broadcasting: https://numpy.org/doc/stable/user/basics.broadcasting.html";

// The gradient of an operand that was broadcast, or nothing where it is not wanted.
template <class F>
Tensor gradient_of(const GradArgs& args, size_t input, F gradient) {
  return args.wanted[input] ? ops::sum_to(gradient(), args.in[input].shape()) : Tensor();
}

// Where a wins, half where they tie.
std::vector<Tensor> extremum_gradient(const GradArgs& args, const Op& wins) {
  const Tensor &a = args.in[0], &b = args.in[1], &dy = args.grad_out[0];
  const Tensor tie = ops::scale(dy, 0.5);
  const Tensor zero = ops::scale(dy, 0);
  Tensor to_a = ops::where(ops::equal(a, b), tie, ops::where(wins({a, b})[0], dy, zero));
  return {gradient_of(args, 0, [&] { return to_a; }),
          gradient_of(args, 1, [&] { return ops::sub(dy, to_a); })};
}

std::vector<Tensor> pow_gradient(const GradArgs& args) {
  const Tensor &a = args.in[0], &b = args.in[1], &y = args.out[0], &dy = args.grad_out[0];
  const auto zeros = [&](const Tensor& like) {
    return Tensor::zeros({}, like.dtype(), like.device());
  };
  return {gradient_of(args, 0,
                      [&] {
                        const Tensor slope = ops::mul(b, ops::pow(a, ops::scale(b, 1, -1)));
                        return ops::mul(dy, ops::where(ops::equal(b, zeros(b)), zeros(a), slope));
                      }),
          gradient_of(args, 1, [&] {
            const Tensor slope = ops::mul(y, ops::log(a));
            return ops::mul(dy, ops::where(ops::equal(a, zeros(a)), zeros(a), slope));
          })};
}

// Positive bases, and exponents of both signs with 0 among them.
Sample pow_sample(const Shape& a, const Shape& b) {
  return {.shapes = {a, b}, .attrs = {}, .make = [=](DType floats, const DevicePtr& device) {
            std::vector<double> bases, exponents;
            for (int64_t i = 0; i < a.numel(); ++i)
              bases.push_back(0.25 + 0.3 * static_cast<double>(i));
            for (int64_t i = 0; i < b.numel(); ++i)
              exponents.push_back(1.5 - 0.75 * static_cast<double>(i % 5));
            return std::vector<Tensor>{of_doubles(bases, a, floats, device),
                                       of_doubles(exponents, b, floats, device)};
          }};
}

}  // namespace

std::vector<Tensor> infer_binary(std::span<const Tensor> in, const Op& op, bool floats) {
  const DType dtype = in[0].dtype();
  const bool whole = dtype == DType::kI64 || dtype == DType::kI32;
  check(is_floating(dtype) || (whole && !floats), op.name, "a is {}; wants {}", name(dtype),
        floats ? "a float type" : "a float type, i64 or i32");
  check(in[1].dtype() == dtype, op.name, "b is {}; wants {} as a is", name(in[1].dtype()),
        name(dtype));
  return {Tensor::meta(broadcast_shapes(in[0].shape(), in[1].shape(), op.name),
                       op.outputs[0].dtype.value_or(dtype), in[0].device())};
}

OpBuilder& add_binary_samples(OpBuilder& builder) {
  return builder.sample({Shape{3, 67}, Shape{3, 67}})
      .sample({Shape{2, 3, 37}, Shape{37}})
      .sample({Shape{4, 1}, Shape{1, 5}})
      .sample({Shape{}, Shape{3}})
      .sample({Shape{0, 4}, Shape{4}});
}

const Op& add_op() {
  static const Op op = binary<BinaryFn::kAdd>("add")
                           .doc("a + b.")
                           .source(kNumpy)
                           .gradient(
                               [](const GradArgs& args) -> std::vector<Tensor> {
                                 const auto pass = [&] { return args.grad_out[0]; };
                                 return {gradient_of(args, 0, pass), gradient_of(args, 1, pass)};
                               },
                               {})
                           .build();
  return op;
}

const Op& sub_op() {
  static const Op op =
      binary<BinaryFn::kSub>("sub")
          .doc("a - b.")
          .source(kNumpy)
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                return {gradient_of(args, 0, [&] { return args.grad_out[0]; }),
                        gradient_of(args, 1, [&] { return ops::neg(args.grad_out[0]); })};
              },
              {})
          .build();
  return op;
}

const Op& mul_op() {
  static const Op op =
      binary<BinaryFn::kMul>("mul")
          .doc("a * b.")
          .source(kNumpy)
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                return {
                    gradient_of(args, 0, [&] { return ops::mul(args.grad_out[0], args.in[1]); }),
                    gradient_of(args, 1, [&] { return ops::mul(args.grad_out[0], args.in[0]); })};
              },
              {0, 1})
          .build();
  return op;
}

const Op& div_op() {
  static const Op op =
      binary<BinaryFn::kDiv>("div")
          .doc("a / b.")
          .source(kNumpy)
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                Tensor to_a = ops::div(args.grad_out[0], args.in[1]);
                return {gradient_of(args, 0, [&] { return to_a; }), gradient_of(args, 1, [&] {
                          return ops::neg(ops::mul(to_a, args.out[0]));
                        })};
              },
              {1}, {0})
          .build();
  return op;
}

const Op& maximum_op() {
  static const Op op =
      binary<BinaryFn::kMaximum>("maximum")
          .doc("The larger of a and b; NaN where either is. Equal elements share the gradient.")
          .source(kNumpy)
          .gradient([](const GradArgs& args) { return extremum_gradient(args, greater_op()); },
                    {0, 1})
          .build();
  return op;
}

const Op& minimum_op() {
  static const Op op =
      binary<BinaryFn::kMinimum>("minimum")
          .doc("The smaller of a and b; NaN where either is. Equal elements share the gradient.")
          .source(kNumpy)
          .gradient([](const GradArgs& args) { return extremum_gradient(args, less_op()); }, {0, 1})
          .build();
  return op;
}

const Op& pow_op() {
  static const Op op =
      binary<BinaryFn::kPow>("pow")
          .doc("a to the power of b, as IEEE 754 pow. The gradient of b is 0 where a is 0.")
          .source("IEEE 754-2019, section 9.2")
          .gradient(&pow_gradient, {0, 1}, {0})
          .sample(pow_sample({3, 5}, {5}))
          .sample(pow_sample({2, 1}, {3, 1, 7}))
          .sample(pow_sample({0, 3}, {3}))
          .build();
  return op;
}

namespace ops {

Tensor add(const Tensor& a, const Tensor& b) { return add_op()({a, b})[0]; }
Tensor sub(const Tensor& a, const Tensor& b) { return sub_op()({a, b})[0]; }
Tensor mul(const Tensor& a, const Tensor& b) { return mul_op()({a, b})[0]; }
Tensor div(const Tensor& a, const Tensor& b) { return div_op()({a, b})[0]; }
Tensor maximum(const Tensor& a, const Tensor& b) { return maximum_op()({a, b})[0]; }
Tensor minimum(const Tensor& a, const Tensor& b) { return minimum_op()({a, b})[0]; }
Tensor pow(const Tensor& a, const Tensor& b) { return pow_op()({a, b})[0]; }

}  // namespace ops
}  // namespace yiti
