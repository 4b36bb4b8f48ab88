#include "ops/fused/linear3.h"

#include "ops/fused/fused_samples.h"
#include "ops/linear/quantised_rows.h"

namespace yiti {
namespace {

constexpr size_t kCount = 3;

std::array<LinearTarget, kCount> targets_of(std::span<const Tensor> in) {
  std::array<LinearTarget, kCount> targets;
  for (size_t i = 0; i < kCount; ++i) {
    targets[i] = {.weight = matrix(in[i + 1]), .y = nullptr, .y_stride = in[i + 1].dim(0)};
  }
  return targets;
}

void run(const KernelArgs& args) {
  Tensor keep;
  const MatrixView x = as_rows(args.in[0], keep);
  if (x.rows == 0) return;
  std::array<LinearTarget, kCount> targets = targets_of(args.in);
  for (size_t i = 0; i < kCount; ++i) targets[i].y = args.out[i].data<float>();
  linear_group_into(args.device, x, targets, {.leaf_unit = args.attrs.as<LinearAttrs>().leaf_unit},
                    args.workspace);
}

size_t workspace(std::span<const Tensor> in, const Attrs&, Device& device) {
  const int64_t m = row_count(in[0]);
  return m == 0 ? 0 : linear_group_workspace(device, m, targets_of(in));
}

std::optional<std::string> refuses(std::span<const Tensor> in, const Attrs& attrs) {
  if (in[0].dtype() != DType::kF32) return "takes f32";
  if (attrs.as<LinearAttrs>().exact_activations) return "exact activations are not quantised";
  for (const Tensor& weight : in.subspan(1)) {
    if (!is_quantised(weight.dtype())) return "weights of floats share nothing";
  }
  if (in[0].dim(-1) == 0) return "nothing to add up";
  return std::nullopt;
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attributes) {
  const auto& [unit, exact] = attributes.as<LinearAttrs>();
  std::vector<Tensor> out;
  for (const Tensor& weight : in.subspan(1)) {
    out.push_back(ops::linear(in[0], weight, {}, unit, exact));
  }
  return out;
}

}  // namespace

const Op& linear3_op() {
  static const Op op = OpBuilder("linear3")
                           .doc("The products of x with three weights.")
                           .source("Three linear ops")
                           .attrs(LinearAttrs{})
                           .input("x", "[..., K]")
                           .input("w0", "[N0, K]", Kind::kWeight)
                           .input("w1", "[N1, K]", Kind::kWeight)
                           .input("w2", "[N2, K]", Kind::kWeight)
                           .output("y0", "[..., N0]")
                           .output("y1", "[..., N1]")
                           .output("y2", "[..., N2]")
                           .kernel({.name = "cpu.quantised",
                                    .device_kind = "cpu",
                                    .refuses = refuses,
                                    .run = run,
                                    .workspace = workspace})
                           .reference(reference)
                           .sample({Shape{2, 3, 64}, Shape{32, 64}, Shape{7, 64}, Shape{5, 64}})
                           .sample(quantised_group_sample(
                               5, {DType::kQ4_1, DType::kQ4_1, DType::kQ4_1}, {48, 19, 16}, true))
                           .sample(quantised_group_sample(
                               3, {DType::kQ8_0, DType::kQ4_0, DType::kQ4_1}, {33, 1, 17}, false))
                           .sample(quantised_group_sample(
                               0, {DType::kQ4_0, DType::kQ4_0, DType::kQ4_0}, {16, 16, 16}, true))
                           .accuracy(0)
                           .build();
  return op;
}

std::array<Tensor, 3> ops::linear3(const Tensor& x, const Tensor& w0, const Tensor& w1,
                                   const Tensor& w2, int64_t leaf_unit, bool exact_activations) {
  const std::vector<Tensor> out =
      linear3_op()({x, w0, w1, w2}, LinearAttrs{leaf_unit, exact_activations});
  return {out[0], out[1], out[2]};
}

}  // namespace yiti
