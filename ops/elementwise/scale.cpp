#include "ops/elementwise/scale.h"

#include "ops/elementwise/compare.h"
#include "ops/elementwise/unary_family.h"
#include "ops/elementwise/where.h"

namespace yiti {
namespace {

Tensor constant(const Tensor& like, double value) {
  return Tensor::full({}, value, like.dtype(), like.device());
}

}  // namespace

const Op& scale_op() {
  static const Op op =
      unary<UnaryFn::kScale, ScaleAttrs>("scale")
          .doc("x * factor + offset, rounded once in f32.")
          .source("IEEE 754-2019, fusedMultiplyAdd")
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                return {ops::scale(args.grad_out[0], args.attrs.as<ScaleAttrs>().factor)};
              },
              {})
          .sample({Shape{2, 33}}, ScaleAttrs{-1.75, 0.5})
          .build();
  return op;
}

const Op& clamp_op() {
  static const Op op =
      unary<UnaryFn::kClamp, ClampAttrs>("clamp")
          .doc("x limited to [low, high]; NaN stays. The gradient is 0 outside.")
          .source("std::clamp")
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                const auto& attrs = args.attrs.as<ClampAttrs>();
                const Tensor &x = args.in[0], zero = constant(x, 0);
                const Tensor below =
                    ops::where(ops::less(x, constant(x, attrs.low)), zero, args.grad_out[0]);
                return {ops::where(ops::greater(x, constant(x, attrs.high)), zero, below)};
              },
              {0})
          .sample({Shape{2, 33}}, ClampAttrs{-0.5, 0.75})
          .build();
  return op;
}

namespace ops {

Tensor scale(const Tensor& x, double factor, double offset) {
  return scale_op()({x}, ScaleAttrs{factor, offset})[0];
}
Tensor clamp(const Tensor& x, double low, double high) {
  return clamp_op()({x}, ClampAttrs{low, high})[0];
}

}  // namespace ops
}  // namespace yiti
