#include "ops/conv/conv2d.h"

#include "core/error.h"
#include "ops/conv/conv2d_shape.h"
#include "ops/reduce/reduce.h"
#include "ops/same_dtype.h"

namespace yiti {
namespace {

constexpr const char* kSource = "Chellapilla, Puri & Simard 2006 (convolution as matrix products)";

Conv2dBackwardAttrs backward_attrs(const Conv2dAttrs& attrs, int64_t height, int64_t width) {
  Conv2dBackwardAttrs out;
  static_cast<Conv2dAttrs&>(out) = attrs;
  out.height = height;
  out.width = width;
  return out;
}

std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  check_same_dtype(in, op);
  return {Tensor::meta(conv2d_forward_shape(in, attrs).y(), in[0].dtype(), in[0].device())};
}

std::vector<Tensor> infer_backward_input(std::span<const Tensor> in, const Attrs& attrs,
                                         const Op& op) {
  check_same_dtype(in, op);
  return {Tensor::meta(conv2d_backward_input_shape(in, attrs).x(), in[0].dtype(), in[0].device())};
}

std::vector<Tensor> infer_backward_weight(std::span<const Tensor> in, const Attrs& attrs,
                                          const Op& op) {
  check_same_dtype(in, op);
  return {Tensor::meta(conv2d_backward_weight_shape(in, attrs).weight(), in[0].dtype(),
                       in[0].device())};
}

std::vector<Tensor> gradient(const GradArgs& args) {
  const auto& a = args.attrs.as<Conv2dAttrs>();
  const Tensor& dy = args.grad_out[0];
  const Shape &x = args.in[0].shape(), &weight = args.in[1].shape();
  std::vector<Tensor> grads(3);
  if (args.wanted[0]) {
    grads[0] = ops::conv2d_backward_input(dy, args.in[1], backward_attrs(a, x[2], x[3]));
  }
  if (args.wanted[1]) {
    grads[1] = ops::conv2d_backward_weight(dy, args.in[0], backward_attrs(a, weight[2], weight[3]));
  }
  if (args.wanted[2]) grads[2] = ops::sum(dy, {0, 2, 3});
  return grads;
}

// The convolution is linear in both of its inputs, so its gradients' gradients are made of it.
std::vector<Tensor> backward_input_gradient(const GradArgs& args) {
  const auto& a = args.attrs.as<Conv2dBackwardAttrs>();
  const Tensor& g = args.grad_out[0];
  const Shape& weight = args.in[1].shape();
  const Conv2dAttrs& forward = a;
  std::vector<Tensor> grads(2);
  if (args.wanted[0]) grads[0] = ops::conv2d(g, args.in[1], Tensor(), forward);
  if (args.wanted[1]) {
    grads[1] =
        ops::conv2d_backward_weight(args.in[0], g, backward_attrs(forward, weight[2], weight[3]));
  }
  return grads;
}

std::vector<Tensor> backward_weight_gradient(const GradArgs& args) {
  const auto& a = args.attrs.as<Conv2dBackwardAttrs>();
  const Tensor& g = args.grad_out[0];
  const Shape& x = args.in[1].shape();
  const Conv2dAttrs& forward = a;
  std::vector<Tensor> grads(2);
  if (args.wanted[0]) grads[0] = ops::conv2d(args.in[1], g, Tensor(), forward);
  if (args.wanted[1]) {
    grads[1] = ops::conv2d_backward_input(args.in[0], g, backward_attrs(forward, x[2], x[3]));
  }
  return grads;
}

Conv2dAttrs attrs_of(const WindowAttrs& window, int64_t groups) {
  Conv2dAttrs attrs;
  static_cast<WindowAttrs&>(attrs) = window;
  attrs.groups = groups;
  return attrs;
}

}  // namespace

const Op& conv2d_op() {
  static const Op op =
      OpBuilder("conv2d")
          .doc("Convolution of images, in groups of channels.")
          .source(kSource)
          .attrs(Conv2dAttrs{})
          .input("x", "[B, C, H, W]")
          .input("weight", "[O, Cg, Kh, Kw]")
          .optional_input("bias", "[O]")
          .output("y", "[B, O, Ho, Wo]")
          .shape_rule(&infer)
          .kernel(cpu_kernel("cpu.gemm", DType::kF32, &cpu::run_conv2d, &cpu::conv2d_workspace))
          .reference(&conv2d_reference)
          .gradient(&gradient, {0, 1})
          .sample({Shape{2, 3, 7, 6}, Shape{4, 3, 3, 3}, Shape{4}}, attrs_of({1, 1, 1, 1, 1, 1}, 1))
          .sample({Shape{1, 4, 9, 8}, Shape{6, 2, 3, 2}, std::nullopt},
                  attrs_of({2, 3, 0, 1, 2, 1}, 2))
          .sample({Shape{9, 2, 3, 3}, Shape{3, 2, 2, 2}, Shape{3}})
          .sample({Shape{2, 1, 5, 24}, Shape{13, 1, 3, 3}, std::nullopt},
                  attrs_of({1, 1, 1, 1, 1, 1}, 1))
          .sample({Shape{2, 0, 3, 3}, Shape{2, 0, 2, 2}, Shape{2}})
          .sample({Shape{0, 2, 3, 3}, Shape{1, 2, 1, 1}, Shape{1}})
          .accuracy(4, 27)
          .build();
  return op;
}

const Op& conv2d_backward_input_op() {
  static const Op op =
      OpBuilder("conv2d_backward_input")
          .doc("The gradient of conv2d by its images.")
          .source(kSource)
          .attrs(Conv2dBackwardAttrs{})
          .input("dy", "[B, O, Ho, Wo]")
          .input("weight", "[O, Cg, Kh, Kw]")
          .output("dx", "[B, C, H, W]")
          .shape_rule(&infer_backward_input)
          .kernel(cpu::mirrored_conv2d_backward_input())
          .kernel(cpu_kernel("cpu.gemm", DType::kF32, &cpu::run_conv2d_backward_input,
                             &cpu::conv2d_backward_input_workspace))
          .reference(&conv2d_backward_input_reference)
          .gradient(&backward_input_gradient, {0, 1})
          .sample({Shape{2, 4, 7, 6}, Shape{4, 3, 3, 3}},
                  backward_attrs(attrs_of({1, 1, 1, 1, 1, 1}, 1), 7, 6))
          .sample({Shape{1, 6, 3, 3}, Shape{6, 2, 3, 2}},
                  backward_attrs(attrs_of({2, 3, 0, 1, 2, 1}, 2), 9, 8))
          .sample({Shape{0, 1, 3, 3}, Shape{1, 2, 1, 1}}, backward_attrs({}, 3, 3))
          .accuracy(2, 36)
          .build();
  return op;
}

const Op& conv2d_backward_weight_op() {
  static const Op op =
      OpBuilder("conv2d_backward_weight")
          .doc("The gradient of conv2d by its weight.")
          .source(kSource)
          .attrs(Conv2dBackwardAttrs{})
          .input("dy", "[B, O, Ho, Wo]")
          .input("x", "[B, C, H, W]")
          .output("dweight", "[O, Cg, Kh, Kw]")
          .shape_rule(&infer_backward_weight)
          .kernel(cpu_kernel("cpu.gemm", DType::kF32, &cpu::run_conv2d_backward_weight,
                             &cpu::conv2d_backward_weight_workspace))
          .reference(&conv2d_backward_weight_reference)
          .gradient(&backward_weight_gradient, {0, 1})
          .sample({Shape{2, 4, 7, 6}, Shape{2, 3, 7, 6}},
                  backward_attrs(attrs_of({1, 1, 1, 1, 1, 1}, 1), 3, 3))
          .sample({Shape{1, 6, 3, 3}, Shape{1, 4, 9, 8}},
                  backward_attrs(attrs_of({2, 3, 0, 1, 2, 1}, 2), 3, 2))
          .sample({Shape{0, 1, 3, 3}, Shape{0, 2, 3, 3}}, backward_attrs({}, 1, 1))
          .accuracy(2, 84)
          .build();
  return op;
}

namespace ops {

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Conv2dOptions& options) {
  const WindowAttrs window = {options.stride,  options.stride,   options.padding,
                              options.padding, options.dilation, options.dilation};
  return conv2d(x, weight, bias, attrs_of(window, options.groups));
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dAttrs& attrs) {
  return conv2d_op()({x, weight, bias}, attrs)[0];
}

Tensor conv2d_backward_input(const Tensor& dy, const Tensor& weight,
                             const Conv2dBackwardAttrs& attrs) {
  return conv2d_backward_input_op()({dy, weight}, attrs)[0];
}

Tensor conv2d_backward_weight(const Tensor& dy, const Tensor& x, const Conv2dBackwardAttrs& attrs) {
  return conv2d_backward_weight_op()({dy, x}, attrs)[0];
}

}  // namespace ops
}  // namespace yiti
