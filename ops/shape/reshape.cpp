#include "ops/shape/reshape.h"

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/shape/attrs.h"
#include "ops/shape/contiguous.h"

namespace yiti {
namespace {

Shape resolve(const Shape& from, const std::vector<int64_t>& sizes) {
  int64_t known = 1;
  int open = -1;
  Shape shape;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const bool inferred = sizes[i] == -1 && open < 0;
    check(inferred || sizes[i] >= 0, "reshape", "size {} of axis {}", sizes[i], i);
    if (inferred) open = static_cast<int>(i);
    shape.push_back(inferred ? 1 : sizes[i]);
  }
  known = shape.numel();
  if (open >= 0 && known > 0) shape.set(open, from.numel() / known);
  check(shape.numel() == from.numel() && (open < 0 || known > 0), "reshape",
        "got {}; wants {} elements as [{}] has", from, known, fmt::join(sizes, ", "));
  return shape;
}

// The strides that show x under `shape` without a copy.
std::optional<Shape> view_strides(const Tensor& x, const Shape& shape) {
  if (x.is_contiguous()) return contiguous_strides(shape);
  Shape strides = shape;
  int to = shape.rank() - 1;
  for (int from = x.rank() - 1; from >= 0;) {
    // A run of axes of x that lie in memory as one.
    int64_t run = x.dim(from), step = x.strides()[from];
    int first = from - 1;
    while (first >= 0 && (x.dim(first) == 1 || x.strides()[first] == run * step)) {
      run *= x.dim(first--);
    }
    for (; to >= 0 && (run > 1 || shape[to] == 1); --to) {
      if (run % shape[to] != 0) return std::nullopt;
      strides.set(to, step);
      step *= shape[to];
      run /= shape[to];
    }
    if (run != 1) return std::nullopt;
    from = first;
  }
  for (; to >= 0; --to) strides.set(to, 0);
  return strides;
}

Tensor view(const Tensor& x, const Attrs& attrs) {
  const Shape shape = resolve(x.shape(), attrs.as<SizesAttrs>().sizes);
  if (const auto strides = view_strides(x, shape)) return x.as_strided(shape, *strides, 0);
  return ops::contiguous(x).reshaped(shape);
}

std::vector<Tensor> reshape_back(const GradArgs& args) {
  return {ops::reshape(args.grad_out[0], args.in[0].shape())};
}

Tensor without_axis(const Tensor& x, const Attrs& attrs) {
  const int axis = axis_of(x.shape(), attrs.as<AxisAttrs>().axis, "squeeze");
  check(x.dim(axis) == 1, "squeeze", "x is {}; wants size 1 at axis {}", x.shape(), axis);
  Shape shape, strides;
  for (int i = 0; i < x.rank(); ++i) {
    if (i == axis) continue;
    shape.push_back(x.dim(i));
    strides.push_back(x.strides()[i]);
  }
  return x.as_strided(shape, strides, 0);
}

Tensor with_axis(const Tensor& x, const Attrs& attrs) {
  const int64_t given = attrs.as<AxisAttrs>().axis;
  const int64_t axis = given < 0 ? given + x.rank() + 1 : given;
  check(axis >= 0 && axis <= x.rank(), "unsqueeze", "axis {} of {}", given, x.shape());
  Shape shape, strides;
  for (int i = 0; i <= x.rank(); ++i) {
    if (i == axis) {
      shape.push_back(1);
      strides.push_back(1);
    }
    if (i < x.rank()) {
      shape.push_back(x.dim(i));
      strides.push_back(x.strides()[i]);
    }
  }
  return x.as_strided(shape, strides, 0);
}

}  // namespace

const Op& reshape_op() {
  static const Op op = OpBuilder("reshape")
                           .doc("The same elements in another shape; one size may be -1.")
                           .source("NumPy's reshape")
                           .attrs(SizesAttrs{{-1}})
                           .input("x", "*", Kind::kAny)
                           .view(&view)
                           .gradient(&reshape_back, {})
                           .sample({Shape{4, 6}}, SizesAttrs{{3, -1}})
                           .sample({Shape{2, 3, 4}}, SizesAttrs{{-1, 4}})
                           .sample({Shape{0, 6}}, SizesAttrs{{-1, 3}})
                           .build();
  return op;
}

const Op& squeeze_op() {
  static const Op op = OpBuilder("squeeze")
                           .doc("x without an axis of size 1.")
                           .source("NumPy's squeeze")
                           .attrs(AxisAttrs{})
                           .input("x", "*", Kind::kAny)
                           .view(&without_axis)
                           .gradient(&reshape_back, {})
                           .sample({Shape{3, 1, 4}}, AxisAttrs{1})
                           .sample({Shape{0, 1}}, AxisAttrs{-1})
                           .build();
  return op;
}

const Op& unsqueeze_op() {
  static const Op op = OpBuilder("unsqueeze")
                           .doc("x with a new axis of size 1.")
                           .source("NumPy's expand_dims")
                           .attrs(AxisAttrs{})
                           .input("x", "*", Kind::kAny)
                           .view(&with_axis)
                           .gradient(&reshape_back, {})
                           .sample({Shape{3, 4}}, AxisAttrs{1})
                           .sample({Shape{0, 3}}, AxisAttrs{-1})
                           .build();
  return op;
}

namespace ops {

Tensor reshape(const Tensor& x, std::vector<int64_t> sizes) {
  return reshape_op()({x}, SizesAttrs{std::move(sizes)})[0];
}
Tensor squeeze(const Tensor& x, int axis) { return squeeze_op()({x}, AxisAttrs{axis})[0]; }
Tensor unsqueeze(const Tensor& x, int axis) { return unsqueeze_op()({x}, AxisAttrs{axis})[0]; }

}  // namespace ops
}  // namespace yiti
