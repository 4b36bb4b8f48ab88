#include "ops/linear/linear.h"

#include "core/error.h"
#include "ops/host_values.h"
#include "ops/linear/gemm.h"
#include "ops/linear/linear_reference.h"
#include "ops/reduce/sum_to.h"

namespace yiti {
namespace {

std::optional<std::string> refuse_f64(std::span<const Tensor> in, const Attrs&) {
  for (const Tensor& tensor : in) {
    if (tensor.defined() && tensor.dtype() == DType::kF64) return "takes no f64";
  }
  return std::nullopt;
}

// As floats, adjacent.
Tensor plain_floats(const Tensor& tensor) {
  if (!tensor.defined() || tensor.dtype() == DType::kF32) {
    return tensor.defined() ? tensor.contiguous() : tensor;
  }
  return of_doubles(to_doubles(tensor), tensor.shape(), DType::kF32, tensor.device());
}

void forward_f32(const KernelArgs& args) {
  const LinearAttrs& attrs = args.attrs.as<LinearAttrs>();
  Tensor keep;
  const MatrixView x = as_rows(args.in[0], keep);
  const Tensor bias = plain_floats(args.in[2]);
  float* y = args.out[0].data<float>();
  linear_into(args.device, x, matrix(args.in[1]), y, args.in[1].dim(0),
              {.bias = bias.defined() ? bias.data<float>() : nullptr,
               .addend = args.accumulate ? y : nullptr,
               .leaf_unit = attrs.leaf_unit,
               .exact_activations = attrs.exact_activations},
              args.workspace);
}

size_t forward_workspace(std::span<const Tensor> in, const Attrs& attrs, Device& device) {
  return linear_workspace(device, row_count(in[0]), matrix(in[1]),
                          attrs.as<LinearAttrs>().exact_activations);
}

bool rounds(const Tensor& weight, const Attrs& attrs) {
  return rounds_activations(weight.dtype(), attrs.as<LinearAttrs>().exact_activations);
}

void backward_input_f32(const KernelArgs& args) {
  Tensor keep;
  const MatrixView dy = as_rows(args.in[0], keep);
  float* dx = args.out[0].data<float>();
  gemm(args.device, dy, matrix(args.in[1]), dx, args.in[1].dim(1),
       {.addend = args.accumulate ? dx : nullptr, .rounded = rounds(args.in[1], args.attrs)},
       args.workspace);
}

size_t backward_input_workspace(std::span<const Tensor> in, const Attrs& attrs, Device& device) {
  return gemm_workspace(device, row_count(in[0]), in[1].dim(1), in[1].dim(0),
                        rounds(in[1], attrs) ? GemmRows::kRounded : GemmRows::kAdjacent);
}

void backward_weight_f32(const KernelArgs& args) {
  Tensor keep_dy, keep_x;
  const MatrixView dy = as_rows(args.in[0], keep_dy), x = as_rows(args.in[1], keep_x);
  float* dweight = args.out[0].data<float>();
  gemm(args.device, dy.t(), x, dweight, x.cols, {.addend = args.accumulate ? dweight : nullptr},
       args.workspace);
}

size_t backward_weight_workspace(std::span<const Tensor> in, const Attrs&, Device& device) {
  return gemm_workspace(device, in[0].dim(-1), in[1].dim(-1), row_count(in[0]), GemmRows::kStrided);
}

Kernel f32_kernel(void (*run)(const KernelArgs&),
                  size_t (*workspace)(std::span<const Tensor>, const Attrs&, Device&)) {
  return {.name = "cpu.f32",
          .device_kind = "cpu",
          .refuses = refuse_f64,
          .run = run,
          .workspace = workspace,
          .accumulates = true};
}

std::vector<Tensor> gradient(const GradArgs& g) {
  const Tensor &x = g.in[0], &weight = g.in[1], &dy = g.grad_out[0];
  std::vector<Tensor> grads(3);
  if (g.wanted[0]) {
    grads[0] = g.gradient_of(0, linear_backward_input_op(), {dy, weight},
                             LinearAttrs{0, g.attrs.as<LinearAttrs>().exact_activations});
  }
  if (g.wanted[1]) {
    if (is_quantised(weight.dtype())) {
      fail(Code::kUnimplemented, "linear", "weight is {}: it has no gradient; dequantise it first",
           name(weight.dtype()));
    }
    grads[1] = g.gradient_of(1, linear_backward_weight_op(), {dy, x});
  }
  if (g.wanted[2]) grads[2] = ops::sum_to(dy, Shape{dy.dim(-1)});
  return grads;
}

// dx = dy W is linear in both, so its own gradients are the other two products.
std::vector<Tensor> backward_input_gradient(const GradArgs& g) {
  const Tensor &dy = g.in[0], &weight = g.in[1], &ddx = g.grad_out[0];
  std::vector<Tensor> grads(2);
  if (g.wanted[0]) grads[0] = ops::linear(ddx, weight, {}, 0, true);
  if (g.wanted[1]) grads[1] = linear_backward_weight_op()({dy, ddx})[0];
  return grads;
}

std::vector<Tensor> backward_weight_gradient(const GradArgs& g) {
  const Tensor &dy = g.in[0], &x = g.in[1], &ddw = g.grad_out[0];
  std::vector<Tensor> grads(2);
  if (g.wanted[0]) grads[0] = ops::linear(x, ddw);
  if (g.wanted[1]) grads[1] = linear_backward_input_op()({dy, ddw}, LinearAttrs{})[0];
  return grads;
}

constexpr const char* kSource =
    "An affine map; block quantisation as in GGUF, activations in blocks of 32 with amax / 127";

}  // namespace

const Op& linear_op() {
  static const Op op =
      OpBuilder("linear")
          .doc(
              "y = x Wᵀ + b over the last axis. Unless exact_activations is set or x is f64, a "
              "quantised weight meets activations quantised per block of 32, and a bf16 one meets "
              "activations rounded to bf16.")
          .source(kSource)
          .attrs(LinearAttrs{})
          .input("x", "[..., K]")
          .input("weight", "[N, K]", Kind::kWeight)
          .optional_input("bias", "[N]", Kind::kAnyFloat)
          .output("y", "[..., N]")
          .kernel(f32_kernel(forward_f32, forward_workspace))
          .reference(linear_reference)
          .gradient(gradient, {0, 1})
          .sample({Shape{2, 3, 64}, Shape{32, 64}, Shape{32}})
          .sample({Shape{7, 100}, Shape{19, 100}, std::nullopt})
          .sample({Shape{5, 4}, Shape{33, 4}, Shape{33}})
          .sample({Shape{7, 544}, Shape{3, 544}, Shape{3}})
          .sample({Shape{4, 128}, Shape{8, 128}, std::nullopt}, LinearAttrs{64, false})
          .sample(rounding_linear_sample(DType::kQ4_0))
          .sample(rounding_linear_sample(DType::kQ4_1))
          .sample(rounding_linear_sample(DType::kQ8_0))
          .sample(rounding_linear_sample(DType::kQ4_1, true))
          .sample(rounding_linear_sample(DType::kBF16))
          .sample({Shape{0, 8}, Shape{3, 8}, Shape{3}})
          .sample({Shape{2, 0}, Shape{3, 0}, Shape{3}})
          .accuracy(1, 128)
          .build();
  return op;
}

const Op& linear_backward_input_op() {
  static const Op op =
      OpBuilder("linear_backward_input")
          .doc(
              "The gradient of linear for x: dy W. Where linear rounds activations, "
              "dy and the weight are rounded to bf16.")
          .source(kSource)
          .attrs(LinearAttrs{})
          .input("dy", "[..., N]")
          .input("weight", "[N, K]", Kind::kWeight)
          .output("dx", "[..., K]")
          .kernel(f32_kernel(backward_input_f32, backward_input_workspace))
          .reference(linear_backward_input_reference)
          .gradient(backward_input_gradient, {0, 1})
          .sample({Shape{2, 3, 32}, Shape{32, 64}})
          .sample({Shape{7, 19}, Shape{19, 100}})
          .sample({Shape{0, 3}, Shape{3, 8}})
          .sample(rounding_gradient_sample(DType::kQ4_1))
          .sample(rounding_gradient_sample(DType::kQ8_0, true))
          .sample(rounding_gradient_sample(DType::kBF16))
          .accuracy(1, 32)
          .build();
  return op;
}

const Op& linear_backward_weight_op() {
  static const Op op = OpBuilder("linear_backward_weight")
                           .doc("The gradient of linear for a float weight: dyᵀ x over all rows.")
                           .source(kSource)
                           .input("dy", "[..., N]")
                           .input("x", "[..., K]")
                           .output("dweight", "[N, K]")
                           .kernel(f32_kernel(backward_weight_f32, backward_weight_workspace))
                           .reference(linear_backward_weight_reference)
                           .gradient(backward_weight_gradient, {0, 1})
                           .sample({Shape{2, 3, 32}, Shape{2, 3, 64}})
                           .sample({Shape{131, 19}, Shape{131, 5}})
                           .sample({Shape{0, 3}, Shape{0, 8}})
                           .accuracy(1, 131)
                           .build();
  return op;
}

Tensor ops::linear(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t leaf_unit,
                   bool exact_activations) {
  return linear_op()({x, weight, bias}, LinearAttrs{leaf_unit, exact_activations})[0];
}

}  // namespace yiti
