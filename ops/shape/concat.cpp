#include "ops/shape/concat.h"

#include <cstring>

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/shape/attrs.h"
#include "ops/shape/contiguous.h"
#include "ops/shape/slice.h"

namespace yiti {
namespace {

int concat_axis(const Attrs& attrs, const Tensor& x) {
  return axis_of(x.shape(), attrs.as<AxisAttrs>().axis, "concat");
}

std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  Shape shape = in[0].shape();
  const int axis = concat_axis(attrs, in[0]);
  int64_t total = 0;
  for (const Tensor& part : in) {
    check(!is_quantised(part.dtype()) && part.dtype() == in[0].dtype(), op.name,
          "a part is {}; wants one plain type, {}", name(part.dtype()), name(in[0].dtype()));
    bool fits = part.rank() == shape.rank();
    for (int i = 0; fits && i < shape.rank(); ++i) fits = i == axis || part.dim(i) == shape[i];
    check(fits, op.name, "a part is {}; wants {} but for axis {}", part.shape(), in[0].shape(),
          axis);
    total += part.dim(axis);
  }
  shape.set(axis, total);
  return {Tensor::meta(shape, in[0].dtype(), in[0].device())};
}

void run(const KernelArgs& args) {
  const Tensor& y = args.out[0];
  const int axis = concat_axis(args.attrs, y);
  int64_t start = 0;
  for (const Tensor& part : args.in) {
    if (part.numel() > 0) {
      const Tensor place = y.as_strided(part.shape(), y.strides(), start * y.strides()[axis]);
      cpu::copy_elements(part, place, args.device);
    }
    start += part.dim(axis);
  }
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  const int axis = concat_axis(attrs, in[0]);
  Shape shape = in[0].shape();
  shape.set(axis, 0);
  int64_t outer = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  std::vector<std::vector<std::byte>> parts;
  for (const Tensor& part : in) {
    shape.set(axis, shape[axis] + part.dim(axis));
    part.copy_to_host(parts.emplace_back(part.bytes()));
  }
  std::vector<std::byte> joined;
  for (int64_t row = 0; row < outer; ++row) {
    for (const auto& part : parts) {
      const auto width = static_cast<std::ptrdiff_t>(part.size()) / outer;
      joined.insert(joined.end(), part.begin() + row * width, part.begin() + (row + 1) * width);
    }
  }
  return {Tensor::from_bytes(joined, shape, in[0].dtype(), in[0].device())};
}

std::vector<Tensor> gradient(const GradArgs& args) {
  const int axis = concat_axis(args.attrs, args.in[0]);
  std::vector<Tensor> grads(args.in.size());
  int64_t start = 0;
  for (size_t i = 0; i < args.in.size(); ++i) {
    const int64_t size = args.in[i].dim(axis);
    if (args.wanted[i]) grads[i] = ops::slice(args.grad_out[0], axis, start, start + size);
    start += size;
  }
  return grads;
}

}  // namespace

const Op& concat_op() {
  static const Op op =
      OpBuilder("concat")
          .doc("The parts one after another along an axis.")
          .source("NumPy's concatenate")
          .attrs(AxisAttrs{})
          .input("parts", "*", Kind::kAny)
          .variadic()
          .output("y", "*")
          .shape_rule(&infer)
          .kernel({.name = "cpu.copy", .device_kind = "cpu", .refuses = {}, .run = &run})
          .reference(&reference)
          .gradient(&gradient, {})
          .sample({Shape{2, 3}, Shape{4, 3}}, AxisAttrs{0})
          .sample({Shape{2, 3, 5}, Shape{2, 1, 5}, Shape{2, 0, 5}}, AxisAttrs{-2})
          .sample({Shape{0, 3}, Shape{0, 3}}, AxisAttrs{1})
          .accuracy(0)
          .build();
  return op;
}

namespace ops {

Tensor concat(std::span<const Tensor> parts, int axis) {
  return concat_op()(parts, AxisAttrs{axis})[0];
}

}  // namespace ops
}  // namespace yiti
