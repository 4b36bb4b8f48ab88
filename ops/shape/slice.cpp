#include "ops/shape/slice.h"

#include <cstring>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/shape/attrs.h"
#include "ops/shape/contiguous.h"

namespace yiti {
namespace {

struct SliceAttrs {
  int64_t axis = 0;
  int64_t start = 0;
  int64_t end = std::numeric_limits<int64_t>::max();
  int64_t step = 1;
  void visit(AttrVisitor& v) {
    v.field("axis", axis);
    v.field("start", start);
    v.field("end", end);
    v.field("step", step);
  }
};

struct SliceBackwardAttrs {
  int64_t axis = 0;
  int64_t size = 1;
  int64_t start = 0;
  int64_t step = 1;
  void visit(AttrVisitor& v) {
    v.field("axis", axis);
    v.field("size", size);
    v.field("start", start);
    v.field("step", step);
  }
};

int64_t limited(int64_t position, int64_t size) {
  return std::clamp<int64_t>(position < 0 ? position + size : position, 0, size);
}

Tensor view(const Tensor& x, const Attrs& attrs) {
  const auto& a = attrs.as<SliceAttrs>();
  check(a.step >= 1, "slice", "step is {}; wants at least 1", a.step);
  const int axis = axis_of(x.shape(), a.axis, "slice");
  const int64_t start = limited(a.start, x.dim(axis));
  const int64_t length = std::max<int64_t>(0, limited(a.end, x.dim(axis)) - start);
  Shape shape = x.shape(), strides = x.strides();
  shape.set(axis, length / a.step + (length % a.step != 0 ? 1 : 0));
  const int64_t offset = shape.numel() == 0 ? 0 : start * strides[axis];
  if (shape[axis] > 1) strides.set(axis, strides[axis] * a.step);
  return x.as_strided(shape, strides, offset);
}

std::vector<Tensor> slice_gradient(const GradArgs& args) {
  const auto& a = args.attrs.as<SliceAttrs>();
  const int axis = axis_of(args.in[0].shape(), a.axis, "slice");
  const int64_t size = args.in[0].dim(axis);
  return {ops::slice_backward(args.grad_out[0], axis, size, limited(a.start, size), a.step)};
}

// Where the elements of dy [*] go in the tensor they were sliced from.
Tensor place_of(const Tensor& full, const Shape& part, const SliceBackwardAttrs& a) {
  Shape strides = full.strides();
  const int axis = axis_of(full.shape(), a.axis, "slice_backward");
  const int64_t offset = part.numel() == 0 ? 0 : a.start * strides[axis];
  strides.set(axis, strides[axis] * a.step);
  return full.as_strided(part, strides, offset);
}

std::vector<Tensor> infer_backward(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  const auto& a = attrs.as<SliceBackwardAttrs>();
  Shape shape = in[0].shape();
  const int axis = axis_of(shape, a.axis, "slice_backward");
  check(a.step >= 1 && a.start >= 0 && a.size >= 0 && a.size < int64_t{1} << 48 &&
            (shape[axis] == 0 || (shape[axis] <= a.size && a.start < a.size &&
                                  shape[axis] - 1 <= (a.size - 1 - a.start) / a.step)),
        op.name, "dy is {}; does not fit in {} from {} by {} on axis {}", shape, a.size, a.start,
        a.step, axis);
  shape.set(axis, a.size);
  return {Tensor::meta(shape, in[0].dtype(), in[0].device())};
}

void run_backward(const KernelArgs& args) {
  const Tensor& y = args.out[0];
  std::memset(y.raw(), 0, y.bytes());
  const auto& a = args.attrs.as<SliceBackwardAttrs>();
  cpu::copy_elements(args.in[0], place_of(y, args.in[0].shape(), a), args.device);
}

std::vector<Tensor> backward_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const auto& a = attrs.as<SliceBackwardAttrs>();
  Shape shape = in[0].shape();
  const int axis = axis_of(shape, a.axis, "slice_backward");
  const int64_t part = shape[axis];
  int64_t inner = 1;
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  shape.set(axis, a.size);
  const size_t element = static_cast<size_t>(info(in[0].dtype()).block_bytes);
  std::vector<std::byte> from(in[0].bytes()), to(byte_size(shape, in[0].dtype()));
  in[0].copy_to_host(from);
  const size_t run = static_cast<size_t>(inner) * element;
  for (size_t i = 0; run > 0 && i < from.size() / run; ++i) {
    const auto row = static_cast<int64_t>(i);
    const int64_t place = row / part * a.size + a.start + row % part * a.step;
    std::memcpy(to.data() + static_cast<size_t>(place) * run, from.data() + i * run, run);
  }
  return {Tensor::from_bytes(to, shape, in[0].dtype(), in[0].device())};
}

std::vector<Tensor> backward_gradient(const GradArgs& args) {
  const auto& a = args.attrs.as<SliceBackwardAttrs>();
  const int64_t count = args.in[0].shape()[static_cast<int>(a.axis)];
  const int64_t end = count == 0 ? a.start : a.start + (count - 1) * a.step + 1;
  return {ops::slice(args.grad_out[0], static_cast<int>(a.axis), a.start, end, a.step)};
}

}  // namespace

const Op& slice_op() {
  static const Op op = OpBuilder("slice")
                           .doc("Every step-th element of an axis from start to before end.")
                           .source("Python's slices")
                           .attrs(SliceAttrs{})
                           .input("x", "*", Kind::kAny)
                           .view(&view)
                           .gradient(&slice_gradient, {})
                           .sample({Shape{5, 4}}, SliceAttrs{0, 1, 4, 1})
                           .sample({Shape{3, 9}}, SliceAttrs{1, -7, 9, 3})
                           .sample({Shape{5, 4}}, SliceAttrs{0, 3, 3, 1})
                           .build();
  return op;
}

const Op& slice_backward_op() {
  static const Op op =
      OpBuilder("slice_backward")
          .doc("Zeros with dy where a slice took it from: the gradient of slice.")
          .source("Python's slices")
          .attrs(SliceBackwardAttrs{})
          .input("dy", "*", Kind::kAny)
          .output("dx", "*")
          .shape_rule(&infer_backward)
          .kernel({.name = "cpu.copy", .device_kind = "cpu", .refuses = {}, .run = &run_backward})
          .reference(&backward_reference)
          .gradient(&backward_gradient, {})
          .sample({Shape{3, 4}}, SliceBackwardAttrs{0, 5, 1, 1})
          .sample({Shape{3, 3}}, SliceBackwardAttrs{1, 9, 2, 3})
          .sample({Shape{0, 4}}, SliceBackwardAttrs{0, 2, 0, 1})
          .accuracy(0)
          .build();
  return op;
}

namespace ops {

Tensor slice(const Tensor& x, int axis, int64_t start, int64_t end, int64_t step) {
  return slice_op()({x}, SliceAttrs{axis, start, end, step})[0];
}

Tensor slice_backward(const Tensor& dy, int axis, int64_t size, int64_t start, int64_t step) {
  return slice_backward_op()({dy}, SliceBackwardAttrs{axis, size, start, step})[0];
}

std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int axis) {
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  check(total == x.dim(axis) &&
            std::all_of(sizes.begin(), sizes.end(), [](int64_t s) { return s >= 0; }),
        "split", "x is {}; sizes [{}] do not add up to axis {}", x.shape(), fmt::join(sizes, ", "),
        axis);
  std::vector<Tensor> pieces;
  int64_t start = 0;
  for (int64_t size : sizes) {
    pieces.push_back(slice(x, axis, start, start + size));
    start += size;
  }
  return pieces;
}

}  // namespace ops
}  // namespace yiti
