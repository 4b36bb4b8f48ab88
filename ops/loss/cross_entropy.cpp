#include "ops/loss/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "ops/host_values.h"
#include "ops/kernels/cpu/row_view.h"
#include "ops/kernels/cpu/softmax.h"
#include "ops/loss/labels.h"
#include "ops/loss/row_loss.h"

namespace yiti {
namespace {

void forward_f32(const KernelArgs& args) {
  const cpu::RowView logits(args.in[0]);
  const int64_t classes = args.in[0].dim(1);
  const std::vector<int64_t> labels = checked_labels(args.in[1], classes, "cross_entropy");
  const auto& table = cpu::softmax_table_for(args.device.isa());
  float* loss = args.out[0].data<float>();
  float* lse = args.out[1].defined() ? args.out[1].data<float>() : nullptr;
  args.device.threads().parallel_for(args.in[0].dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t label = labels[static_cast<size_t>(t)];
      const bool ignored = label == kIgnoredLabel;
      const float total = ignored ? 0 : table.log_sum_exp(logits.row(t), classes);
      loss[t] = ignored ? 0 : total - logits.row(t)[label];
      if (lse != nullptr) lse[t] = total;
    }
  });
}

void backward_f32(const KernelArgs& args) {
  const cpu::RowView logits(args.in[0]);
  const int64_t classes = args.in[0].dim(1);
  const std::vector<int64_t> labels = checked_labels(args.in[1], classes, "cross_entropy_backward");
  const Tensor lse_tensor = args.in[2].contiguous(), dloss_tensor = args.in[3].contiguous();
  const float *lse = lse_tensor.data<float>(), *dloss = dloss_tensor.data<float>();
  const auto& table = cpu::softmax_table_for(args.device.isa());
  float* dlogits = args.out[0].data<float>();
  args.device.threads().parallel_for(args.in[0].dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t label = labels[static_cast<size_t>(t)];
      float* row = dlogits + t * classes;
      if (label == kIgnoredLabel) {
        std::fill_n(row, classes, 0.0f);
      } else {
        table.scaled_exp(logits.row(t), lse[t], dloss[t], row, classes);
        row[label] -= dloss[t];
      }
    }
  });
}

std::vector<Tensor> forward_reference(std::span<const Tensor> in, const Attrs&) {
  const int64_t classes = in[0].dim(1);
  const std::vector<int64_t> labels = checked_labels(in[1], classes, "cross_entropy");
  const std::vector<double> logits = to_doubles(in[0]);
  std::vector<double> loss(labels.size()), lse(labels.size());
  for (size_t t = 0; t < labels.size(); ++t) {
    const auto row = std::span(logits).subspan(t * static_cast<size_t>(classes));
    if (labels[t] == kIgnoredLabel) continue;
    lse[t] = log_sum_exp_of(row.first(static_cast<size_t>(classes)));
    loss[t] = lse[t] - row[static_cast<size_t>(labels[t])];
  }
  const DType dtype = in[0].dtype();
  const Shape rows = {in[0].dim(0)};
  return {of_doubles(loss, rows, dtype, in[0].device()),
          of_doubles(lse, rows, dtype, in[0].device())};
}

std::vector<Tensor> backward_reference(std::span<const Tensor> in, const Attrs&) {
  const int64_t classes = in[0].dim(1);
  const std::vector<int64_t> labels = checked_labels(in[1], classes, "cross_entropy_backward");
  std::vector<double> rows = to_doubles(in[0]);
  const std::vector<double> lse = to_doubles(in[2]), dloss = to_doubles(in[3]);
  for (size_t t = 0; t < labels.size(); ++t) {
    const auto width = static_cast<size_t>(classes);
    logits_gradient(std::span(rows).subspan(t * width, width), labels[t], lse[t], dloss[t]);
  }
  return {of_doubles(rows, in[0].shape(), in[0].dtype(), in[0].device())};
}

std::vector<Tensor> gradient(const GradArgs& g) {
  return {cross_entropy_backward_op()({g.in[0], g.in[1], g.out[1], g.grad_out[0]})[0], Tensor()};
}

constexpr const char* kSource = "Goodfellow et al. 2016, Deep Learning, section 6.2";

}  // namespace

const Op& cross_entropy_op() {
  static const Op op = OpBuilder("cross_entropy")
                           .doc("-log softmax(logits)[label] of each row; 0 where label is -100.")
                           .source(kSource)
                           .input("logits", "[T, V]")
                           .input("labels", "[T]", Kind::kIndex)
                           .output("loss", "[T]")
                           .saved_output("lse", "[T]")
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, forward_f32))
                           .reference(forward_reference)
                           .gradient(gradient, {0, 1}, {1})
                           .sample({Shape{5, 33}, Shape{5}}, {}, 33)
                           .sample({Shape{3, 1}, Shape{3}}, {}, 1)
                           .sample(ignoring_sample(false))
                           .sample({Shape{0, 8}, Shape{0}}, {}, 8)
                           .accuracy(4)
                           .build();
  return op;
}

const Op& cross_entropy_backward_op() {
  static const Op op = OpBuilder("cross_entropy_backward")
                           .doc("The gradient of cross_entropy for logits, from its lse.")
                           .source(kSource)
                           .input("logits", "[T, V]")
                           .input("labels", "[T]", Kind::kIndex)
                           .input("lse", "[T]")
                           .input("dloss", "[T]")
                           .output("dlogits", "[T, V]")
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, backward_f32))
                           .reference(backward_reference)
                           .not_differentiable()
                           .sample({Shape{5, 33}, Shape{5}, Shape{5}, Shape{5}}, {}, 33)
                           .sample(ignoring_sample(true))
                           .sample({Shape{0, 8}, Shape{0}, Shape{0}, Shape{0}}, {}, 8)
                           .accuracy(4)
                           .build();
  return op;
}

Tensor ops::cross_entropy(const Tensor& logits, const Tensor& labels) {
  return cross_entropy_op()({logits, labels})[0];
}

}  // namespace yiti
