#include "ops/reduce/arg.h"

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/visit_dtype.h"
#include "ops/reduce/axes.h"
#include "ops/shape/attrs.h"

namespace yiti {
namespace {

struct ArgAttrs {
  int64_t axis = -1;
  bool keepdim = false;
  void visit(AttrVisitor& v) {
    v.field("axis", axis);
    v.field("keepdim", keepdim);
  }
};

std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  const auto& a = attrs.as<ArgAttrs>();
  const int axis = axis_of(in[0].shape(), a.axis, op.name);
  check(in[0].dim(axis) > 0, op.name, "x is {}; axis {} is empty", in[0].shape(), axis);
  return {Tensor::meta(reduced_shape(in[0].shape(), 1u << axis, a.keepdim), DType::kI64,
                       in[0].device())};
}

template <bool Largest, class T>
int64_t index_of_best(const T* x, int64_t count, int64_t step) {
  int64_t best = 0;
  for (int64_t i = 1; i < count; ++i) {
    const T value = x[i * step], top = x[best * step];
    const bool wins = Largest ? value > top : value < top;
    if (top == top && (wins || value != value)) best = i;
  }
  return best;
}

template <bool Largest>
void run(const KernelArgs& args) {
  const int axis = axis_of(args.in[0].shape(), args.attrs.as<ArgAttrs>().axis, "argmax");
  const ReduceView view = reduce_view(args.in[0], 1u << axis);
  int64_t* y = args.out[0].data<int64_t>();
  cpu::visit_number(args.in[0].dtype(), [&]<class T>() {
    const T* x = reinterpret_cast<const T*>(view.x.raw());
    const int64_t grain = std::max<int64_t>(1, 16384 / view.reduced);
    args.device.threads().parallel_for(
        view.outer * view.inner, grain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const int64_t first = i / view.inner * view.reduced * view.inner + i % view.inner;
            if constexpr (!cpu::kIsHalf<T>) {
              y[i] = index_of_best<Largest>(x + first, view.reduced, view.inner);
            }
          }
        });
  });
}

template <bool Largest>
std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  const auto& a = attrs.as<ArgAttrs>();
  const int axis = axis_of(in[0].shape(), a.axis, "argmax");
  const ReduceView view = reduce_sizes(in[0].shape(), 1u << axis);
  const std::vector<double> x = to_doubles(in[0]);
  std::vector<double> y;
  for (int64_t i = 0; i < view.outer * view.inner; ++i) {
    const int64_t first = i / view.inner * view.reduced * view.inner + i % view.inner;
    y.push_back(
        static_cast<double>(index_of_best<Largest>(x.data() + first, view.reduced, view.inner)));
  }
  return {of_doubles(y, reduced_shape(in[0].shape(), 1u << axis, a.keepdim), DType::kI64,
                     in[0].device())};
}

template <bool Largest>
OpBuilder arg(const char* name) {
  OpBuilder builder(name);
  builder.attrs(ArgAttrs{})
      .source("NumPy's argmax")
      .input("x", "*", Kind::kNumber)
      .output("index", "*", DType::kI64)
      .shape_rule(&infer)
      .kernel({.name = "cpu.scalar", .device_kind = "cpu", .refuses = {}, .run = &run<Largest>})
      .reference(&reference<Largest>)
      .not_differentiable()
      .sample({Shape{3, 67}}, ArgAttrs{})
      .sample({Shape{5, 3, 7}}, ArgAttrs{1, true})
      .sample({Shape{0, 7}}, ArgAttrs{1, false});
  return builder;
}

}  // namespace

const Op& argmax_op() {
  static const Op op = arg<true>("argmax")
                           .doc("The index of the largest element of an axis: the first of equals.")
                           .build();
  return op;
}

const Op& argmin_op() {
  static const Op op =
      arg<false>("argmin")
          .doc("The index of the smallest element of an axis: the first of equals.")
          .build();
  return op;
}

namespace ops {

Tensor argmax(const Tensor& x, int axis, bool keepdim) {
  return argmax_op()({x}, ArgAttrs{axis, keepdim})[0];
}
Tensor argmin(const Tensor& x, int axis, bool keepdim) {
  return argmin_op()({x}, ArgAttrs{axis, keepdim})[0];
}

}  // namespace ops
}  // namespace yiti
