#include "ops/reduce/reduce.h"

#include <limits>

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/elementwise/compare.h"
#include "ops/elementwise/operators.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/reduce.h"
#include "ops/kernels/cpu/visit_dtype.h"
#include "ops/reduce/axes.h"
#include "ops/shape/cast.h"
#include "ops/shape/expand.h"
#include "ops/shape/reshape.h"

namespace yiti {
namespace {

using cpu::Fold;

enum class Reduction { kSum, kMean, kMax, kMin };

constexpr Fold fold_of(Reduction r) {
  return r == Reduction::kMax ? Fold::kMax : r == Reduction::kMin ? Fold::kMin : Fold::kSum;
}

// Elements of a row that one task sums when there are fewer rows than would keep threads busy.
constexpr int64_t kChunk = 65536;

unsigned axes_of(std::span<const Tensor> in, const Attrs& attrs, std::string_view where) {
  return reduced_axes(attrs.as<ReduceAttrs>(), in[0].shape(), where);
}

template <Reduction R>
std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  const unsigned axes = axes_of(in, attrs, op.name);
  check(R != Reduction::kMean || is_floating(in[0].dtype()), op.name, "x is {}; wants a float type",
        name(in[0].dtype()));
  const ReduceView sizes = reduce_sizes(in[0].shape(), axes);
  check(fold_of(R) == Fold::kSum || sizes.reduced > 0 || sizes.outer * sizes.inner == 0, op.name,
        "x is {}; the extremum of nothing", in[0].shape());
  return {Tensor::meta(reduced_shape(in[0].shape(), axes, attrs.as<ReduceAttrs>().keepdim),
                       in[0].dtype(), in[0].device())};
}

int64_t chunks_of(const ReduceView& view) {
  return view.inner == 1 ? std::max<int64_t>(1, (view.reduced + kChunk - 1) / kChunk) : 1;
}

size_t workspace(std::span<const Tensor> in, const Attrs& attrs, Device&) {
  const ReduceView view = reduce_sizes(in[0].shape(), axes_of(in, attrs, "reduce"));
  return static_cast<size_t>(view.outer * chunks_of(view)) * sizeof(double);
}

double joined(Fold fold, double a, double b) {
  if (fold == Fold::kSum) return a + b;
  if (a != a) return a;
  return fold == Fold::kMax ? (a > b ? a : b) : (a < b ? a : b);
}

// Rows: chunks at fixed positions, joined in order.
template <Reduction R>
void reduce_rows(const KernelArgs& args, const ReduceView& view) {
  constexpr Fold kFold = fold_of(R);
  const auto row = cpu::reduce_table_for(args.device.isa()).row[static_cast<size_t>(kFold)];
  const float* x = view.x.data<float>();
  float* y = args.out[0].data<float>();
  double* parts = reinterpret_cast<double*>(args.workspace);
  const int64_t chunks = chunks_of(view);
  const int64_t grain = std::max<int64_t>(1, 16384 / std::min(view.reduced + 1, kChunk));
  args.device.threads().parallel_for(view.outer * chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t start = i % chunks * kChunk;
      parts[i] = row(x + i / chunks * view.reduced + start, std::min(kChunk, view.reduced - start));
    }
  });
  for (int64_t i = 0; i < view.outer; ++i) {
    double total = parts[i * chunks];
    for (int64_t c = 1; c < chunks; ++c) total = joined(kFold, total, parts[i * chunks + c]);
    if (R == Reduction::kMean) total /= static_cast<double>(view.reduced);
    y[i] = static_cast<float>(total);
  }
}

template <Reduction R>
void reduce_columns(const KernelArgs& args, const ReduceView& view) {
  constexpr int64_t kWidth = 256;
  const auto column =
      cpu::reduce_table_for(args.device.isa()).column[static_cast<size_t>(fold_of(R))];
  const float* x = view.x.data<float>();
  float* y = args.out[0].data<float>();
  const int64_t strips = (view.inner + kWidth - 1) / kWidth;
  const auto count = static_cast<float>(view.reduced);
  const int64_t grain = std::max<int64_t>(
      1, 16384 / std::max<int64_t>(1, view.reduced * std::min(view.inner, kWidth)));
  args.device.threads().parallel_for(view.outer * strips, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t outer = i / strips, first = i % strips * kWidth;
      const int64_t width = std::min(kWidth, view.inner - first);
      float* target = y + outer * view.inner + first;
      column(x + outer * view.reduced * view.inner + first, view.reduced, view.inner, target,
             width);
      for (int64_t j = 0; R == Reduction::kMean && j < width; ++j) target[j] /= count;
    }
  });
}

template <Reduction R>
void run_f32(const KernelArgs& args) {
  if (args.out[0].numel() == 0) return;
  const ReduceView view = reduce_view(args.in[0], axes_of(args.in, args.attrs, "reduce"));
  view.inner == 1 ? reduce_rows<R>(args, view) : reduce_columns<R>(args, view);
}

template <Reduction R, class T>
T fold_scalar(const T* x, int64_t count, int64_t step) {
  if constexpr (fold_of(R) == Fold::kSum) {
    using Sum =
        std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>, std::type_identity<T>>;
    typename Sum::type total = 0;
    for (int64_t r = 0; r < count; ++r) total += static_cast<typename Sum::type>(x[r * step]);
    if constexpr (R == Reduction::kMean) return static_cast<T>(total / static_cast<T>(count));
    return static_cast<T>(total);
  } else {
    T best = x[0];
    for (int64_t r = 1; r < count; ++r) {
      const T value = x[r * step];
      const bool wins = R == Reduction::kMax ? value > best : value < best;
      if (best == best && (wins || value != value)) best = value;
    }
    return best;
  }
}

template <Reduction R>
void run_scalar(const KernelArgs& args) {
  const ReduceView view = reduce_view(args.in[0], axes_of(args.in, args.attrs, "reduce"));
  cpu::visit_number(args.in[0].dtype(), [&]<class T>() {
    if constexpr (!cpu::kIsHalf<T>) {
      const T* x = view.x.data<T>();
      T* y = args.out[0].data<T>();
      args.device.threads().parallel_for(
          view.outer * view.inner, 1024, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
              const int64_t first = i / view.inner * view.reduced * view.inner + i % view.inner;
              y[i] = fold_scalar<R>(x + first, view.reduced, view.inner);
            }
          });
    }
  });
}

template <Reduction R>
std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  const unsigned axes = axes_of(in, attrs, "reduce");
  const Shape kept = reduced_shape(in[0].shape(), axes, true);
  const std::vector<double> x = to_doubles(in[0]);
  const Shape strides = contiguous_strides(kept);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const double start = R == Reduction::kMax ? -kInf : R == Reduction::kMin ? kInf : 0;
  std::vector<double> y(static_cast<size_t>(kept.numel()), start);
  for (size_t i = 0; i < x.size(); ++i) {
    auto rest = static_cast<int64_t>(i);
    int64_t place = 0;
    for (int axis = in[0].rank() - 1; axis >= 0; --axis) {
      if (kept[axis] != 1) place += rest % in[0].dim(axis) * strides[axis];
      rest /= in[0].dim(axis);
    }
    double& target = y[static_cast<size_t>(place)];
    target = joined(fold_of(R), target, x[i]);
  }
  const double count = static_cast<double>(reduce_sizes(in[0].shape(), axes).reduced);
  for (double& value : y) value = R == Reduction::kMean ? value / count : value;
  return {of_doubles(y, reduced_shape(in[0].shape(), axes, attrs.as<ReduceAttrs>().keepdim),
                     in[0].dtype(), in[0].device())};
}

// A tensor of the result's shape repeated along the reduced axes.
Tensor spread(const GradArgs& args, const Tensor& reduced) {
  const Shape& shape = args.in[0].shape();
  const unsigned axes = axes_of(args.in, args.attrs, "reduce");
  return ops::expand(ops::reshape(reduced, reduced_shape(shape, axes, true)), shape);
}

std::vector<Tensor> extremum_gradient(const GradArgs& args) {
  const Tensor& x = args.in[0];
  const Tensor hits = ops::cast(ops::equal(x, spread(args, args.out[0])), x.dtype());
  const auto& attrs = args.attrs.as<ReduceAttrs>();
  const Tensor count = ops::sum(hits, attrs.axes, attrs.keepdim);
  return {hits * spread(args, args.grad_out[0] / count)};
}

template <Reduction R>
OpBuilder reduction(const char* name) {
  OpBuilder builder(name);
  Kernel fast = cpu_kernel("cpu.f32", DType::kF32, &run_f32<R>);
  const auto refuses = fast.refuses;
  fast.refuses = [refuses](std::span<const Tensor> in,
                           const Attrs& attrs) -> std::optional<std::string> {
    if (is_integer(in[0].dtype())) return "takes floats";
    return refuses(in, attrs);
  };
  fast.workspace = &workspace;
  builder.attrs(ReduceAttrs{})
      .input("x", "*", Kind::kNumber)
      .output("y", "*")
      .shape_rule(&infer<R>)
      .kernel(std::move(fast))
      .kernel({.name = "cpu.scalar", .device_kind = "cpu", .refuses = {}, .run = &run_scalar<R>})
      .reference(&reference<R>)
      .sample({Shape{3, 67}}, ReduceAttrs{{-1}, false})
      .sample({Shape{5, 3, 33}}, ReduceAttrs{{0}, true})
      .sample({Shape{2, 3, 4, 5}}, ReduceAttrs{{1, 3}, false})
      .sample({Shape{4, 7}}, ReduceAttrs{})
      .sample({Shape{0, 7}}, ReduceAttrs{{1}, false})
      .accuracy(3, R == Reduction::kMax || R == Reduction::kMin ? 1 : 32);
  return builder;
}

}  // namespace

const Op& sum_op() {
  static const Op op = reduction<Reduction::kSum>("sum")
                           .doc("The sum over axes.")
                           .source("Blocked summation: Higham 1993")
                           .gradient(
                               [](const GradArgs& args) -> std::vector<Tensor> {
                                 return {spread(args, args.grad_out[0])};
                               },
                               {})
                           .sample({Shape{0, 7}}, ReduceAttrs{{0}, false})
                           .build();
  return op;
}

const Op& mean_op() {
  static const Op op =
      reduction<Reduction::kMean>("mean")
          .doc("The mean over axes; NaN for none.")
          .source("Blocked summation: Higham 1993")
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                const unsigned axes = axes_of(args.in, args.attrs, "mean");
                const int64_t count = reduce_sizes(args.in[0].shape(), axes).reduced;
                return {spread(args, args.grad_out[0] / static_cast<double>(count))};
              },
              {})
          .build();
  return op;
}

const Op& max_op() {
  static const Op op = reduction<Reduction::kMax>("max")
                           .doc("The largest over axes; NaN if any is. Ties share the gradient.")
                           .source("NumPy's amax")
                           .gradient(&extremum_gradient, {0}, {0})
                           .build();
  return op;
}

const Op& min_op() {
  static const Op op = reduction<Reduction::kMin>("min")
                           .doc("The smallest over axes; NaN if any is. Ties share the gradient.")
                           .source("NumPy's amin")
                           .gradient(&extremum_gradient, {0}, {0})
                           .build();
  return op;
}

namespace ops {

Tensor sum(const Tensor& x, std::vector<int64_t> axes, bool keepdim) {
  return sum_op()({x}, ReduceAttrs{std::move(axes), keepdim})[0];
}
Tensor mean(const Tensor& x, std::vector<int64_t> axes, bool keepdim) {
  return mean_op()({x}, ReduceAttrs{std::move(axes), keepdim})[0];
}
Tensor max(const Tensor& x, std::vector<int64_t> axes, bool keepdim) {
  return max_op()({x}, ReduceAttrs{std::move(axes), keepdim})[0];
}
Tensor min(const Tensor& x, std::vector<int64_t> axes, bool keepdim) {
  return min_op()({x}, ReduceAttrs{std::move(axes), keepdim})[0];
}

}  // namespace ops
}  // namespace yiti
