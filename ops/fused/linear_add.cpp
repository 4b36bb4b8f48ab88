#include "ops/fused/linear_add.h"

#include "ops/elementwise/binary.h"
#include "ops/linear/gemm.h"

namespace yiti {
namespace {

void run(const KernelArgs& args) {
  Tensor keep;
  const MatrixView x = as_rows(args.in[1], keep);
  const Tensor addend = args.in[0].contiguous();
  linear_into(args.device, x, matrix(args.in[2]), args.out[0].data<float>(), args.in[2].dim(0),
              {.addend = addend.data<float>()}, args.workspace);
}

size_t workspace(std::span<const Tensor> in, const Attrs&, Device& device) {
  return linear_workspace(device, row_count(in[1]), matrix(in[2]));
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs&) {
  return {ops::add(in[0], ops::linear(in[1], in[2]))};
}

std::vector<Tensor> gradient(const GradArgs& g) {
  const std::vector<Tensor> in = {g.in[1], g.in[2], Tensor()};
  const std::vector<bool> wanted = {g.wanted[1], g.wanted[2], false};
  const auto gathered = g.gathered.empty() ? g.gathered : g.gathered.subspan(1);
  std::vector<Tensor> grads =
      linear_op().gradient({in, g.out, g.grad_out, linear_op().default_attrs, wanted, gathered});
  return {g.grad_out[0], grads[0], grads[1]};
}

}  // namespace

const Op& linear_add_op() {
  static const Op op = OpBuilder("linear_add")
                           .doc("addend + x Wᵀ, with the bits of linear and add.")
                           .source("linear, then add")
                           .input("addend", "[..., N]")
                           .input("x", "[..., K]")
                           .input("weight", "[N, K]", Kind::kWeight)
                           .output("y", "[..., N]")
                           .kernel({.name = "cpu.f32",
                                    .device_kind = "cpu",
                                    .refuses = linear_op().kernels[0].refuses,
                                    .run = run,
                                    .workspace = workspace})
                           .reference(reference)
                           .composed()
                           .gradient(gradient, {1, 2})
                           .sample({Shape{2, 3, 32}, Shape{2, 3, 8}, Shape{32, 8}})
                           .sample({Shape{40, 19}, Shape{40, 100}, Shape{19, 100}})
                           .sample({Shape{2, 3}, Shape{2, 0}, Shape{3, 0}})
                           .sample({Shape{0, 3}, Shape{0, 8}, Shape{3, 8}})
                           .accuracy(1, 128)
                           .build();
  return op;
}

Tensor ops::linear_add(const Tensor& addend, const Tensor& x, const Tensor& weight) {
  return linear_add_op()({addend, x, weight})[0];
}

}  // namespace yiti
