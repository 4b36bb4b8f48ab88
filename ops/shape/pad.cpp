#include "ops/shape/pad.h"

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/visit_dtype.h"
#include "ops/shape/contiguous.h"
#include "ops/shape/slice.h"

namespace yiti {
namespace {

struct PadAttrs {
  std::vector<int64_t> widths;
  double value = 0;
  void visit(AttrVisitor& v) {
    v.field("widths", widths);
    v.field("value", value);
  }
  int64_t before(int axis) const { return widths[static_cast<size_t>(2 * axis)]; }
  int64_t behind(int axis) const { return widths[static_cast<size_t>(2 * axis + 1)]; }
};

std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  const auto& a = attrs.as<PadAttrs>();
  Shape shape = in[0].shape();
  check(!is_quantised(in[0].dtype()), op.name, "x is {}; wants a plain type", name(in[0].dtype()));
  check(a.widths.size() == 2 * static_cast<size_t>(shape.rank()), op.name,
        "x is {}; got {} widths, wants two an axis", shape, a.widths.size());
  constexpr int64_t kMost = int64_t{1} << 40;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    check(a.before(axis) >= 0 && a.behind(axis) >= 0 && a.before(axis) < kMost &&
              a.behind(axis) < kMost,
          op.name, "widths [{}] of axis {}", fmt::join(a.widths, ", "), axis);
    shape.set(axis, shape[axis] + a.before(axis) + a.behind(axis));
  }
  return {Tensor::meta(shape, in[0].dtype(), in[0].device())};
}

void run(const KernelArgs& args) {
  const auto& a = args.attrs.as<PadAttrs>();
  const Tensor &x = args.in[0], &y = args.out[0];
  cpu::visit_dtype(y.dtype(), [&]<class T>() {
    const T value = cpu::narrow<T>(a.value);
    T* target = reinterpret_cast<T*>(y.raw());
    args.device.threads().parallel_for(y.numel(), 65536, [&](int64_t begin, int64_t end) {
      std::fill(target + begin, target + end, value);
    });
  });
  if (x.numel() == 0) return;
  int64_t offset = 0;
  for (int axis = 0; axis < x.rank(); ++axis) offset += a.before(axis) * y.strides()[axis];
  cpu::copy_elements(x, y.as_strided(x.shape(), y.strides(), offset), args.device);
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  const auto& a = attrs.as<PadAttrs>();
  Shape shape = in[0].shape();
  for (int axis = 0; axis < shape.rank(); ++axis) {
    shape.set(axis, shape[axis] + a.before(axis) + a.behind(axis));
  }
  const Shape strides = contiguous_strides(shape);
  const std::vector<double> x = to_doubles(in[0]);
  std::vector<double> y(static_cast<size_t>(shape.numel()), a.value);
  for (size_t i = 0; i < x.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), place = 0;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      place += (rest % in[0].dim(axis) + a.before(axis)) * strides[axis];
      rest /= in[0].dim(axis);
    }
    y[static_cast<size_t>(place)] = x[i];
  }
  return {of_doubles(y, shape, in[0].dtype(), in[0].device())};
}

std::vector<Tensor> gradient(const GradArgs& args) {
  const auto& a = args.attrs.as<PadAttrs>();
  Tensor dx = args.grad_out[0];
  for (int axis = 0; axis < dx.rank(); ++axis) {
    dx = ops::slice(dx, axis, a.before(axis), a.before(axis) + args.in[0].dim(axis));
  }
  return {dx};
}

}  // namespace

const Op& pad_op() {
  static const Op op =
      OpBuilder("pad")
          .doc("x within a border of one value.")
          .source("NumPy's pad")
          .attrs(PadAttrs{})
          .input("x", "*", Kind::kAny)
          .output("y", "*")
          .shape_rule(&infer)
          .kernel({.name = "cpu.copy", .device_kind = "cpu", .refuses = {}, .run = &run})
          .reference(&reference)
          .gradient(&gradient, {})
          .sample({Shape{3, 5}}, PadAttrs{{1, 0, 2, 3}, 0})
          .sample({Shape{2, 1, 4}}, PadAttrs{{0, 0, 1, 1, 0, 2}, -1.5})
          .sample({Shape{0, 2}}, PadAttrs{{0, 0, 1, 1}, 0})
          .accuracy(0)
          .build();
  return op;
}

namespace ops {

Tensor pad(const Tensor& x, std::vector<int64_t> widths, double value) {
  return pad_op()({x}, PadAttrs{std::move(widths), value})[0];
}

}  // namespace ops
}  // namespace yiti
