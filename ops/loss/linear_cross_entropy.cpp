#include "ops/loss/linear_cross_entropy.h"

#include <algorithm>

#include "ops/host_values.h"
#include "ops/kernels/cpu/row_view.h"
#include "ops/kernels/cpu/softmax.h"
#include "ops/linear/gemm.h"
#include "ops/linear/linear.h"
#include "ops/loss/cross_entropy.h"
#include "ops/loss/labels.h"
#include "ops/loss/row_loss.h"

namespace yiti {
namespace {

constexpr const char* kName = "linear_cross_entropy";

int64_t chunk_rows(std::span<const Tensor> in, const Attrs& attrs) {
  return std::min(attrs.as<LinearCrossEntropyAttrs>().chunk, in[0].dim(0));
}

// The workspace: a chunk's rows of x, their logits, and their dx.
size_t workspace_bytes(std::span<const Tensor> in, const Attrs& attrs, Device&) {
  return static_cast<size_t>(chunk_rows(in, attrs) * (2 * in[0].dim(1) + in[1].dim(0))) *
         sizeof(float);
}

// The rows whose label is not ignored, a chunk at a time.
class WantedRows {
 public:
  explicit WantedRows(const KernelArgs& args)
      : device_(args.device),
        x_(args.in[0]),
        weight_(matrix(args.in[1])),
        labels_(checked_labels(args.in[2], args.in[1].dim(0), kName)),
        chunk_(chunk_rows(args.in, args.attrs)),
        exact_(args.attrs.as<LinearCrossEntropyAttrs>().exact_activations),
        x_chunk_(reinterpret_cast<float*>(args.workspace)),
        dx_chunk_(x_chunk_ + chunk_ * weight_.cols),
        logits_(dx_chunk_ + chunk_ * weight_.cols) {
    for (size_t t = 0; t < labels_.size(); ++t) {
      if (labels_[t] != kIgnoredLabel) rows_.push_back(static_cast<int64_t>(t));
    }
  }

  // Calls visit(count) for each chunk once its rows and logits are there.
  template <class Visit>
  void for_chunks(Visit visit) {
    const auto total = static_cast<int64_t>(rows_.size());
    for (start_ = 0; start_ < total; start_ += chunk_) {
      const int64_t count = std::min(chunk_, total - start_);
      for (int64_t i = 0; i < count; ++i) {
        std::copy_n(x_.row(row(i)), weight_.cols, x_chunk_ + i * weight_.cols);
      }
      LinearOptions options;
      options.exact_activations = exact_;
      linear_into(device_, rows_of_x(count), weight_, logits_, weight_.rows, options);
      visit(count);
    }
  }

  // The present chunk's i-th row: where it is, its label, logits and dx.
  int64_t row(int64_t i) const { return rows_[static_cast<size_t>(start_ + i)]; }
  int64_t label(int64_t i) const { return labels_[static_cast<size_t>(row(i))]; }
  float* logits(int64_t i) const { return logits_ + i * weight_.rows; }
  float* dx(int64_t i) const { return dx_chunk_ + i * weight_.cols; }

  MatrixView rows_of_x(int64_t count) const { return row_major(x_chunk_, count, weight_.cols); }
  MatrixView rows_of_logits(int64_t count) const { return row_major(logits_, count, weight_.rows); }
  const MatrixView& weight() const { return weight_; }

 private:
  Device& device_;
  cpu::RowView x_;
  MatrixView weight_;
  std::vector<int64_t> labels_, rows_;
  int64_t chunk_;
  bool exact_;
  float *x_chunk_, *dx_chunk_, *logits_;
  int64_t start_ = 0;
};

void forward_f32(const KernelArgs& args) {
  const int64_t tokens = args.in[0].dim(0), classes = args.in[1].dim(0);
  const auto& table = cpu::softmax_table_for(args.device.isa());
  float* loss = args.out[0].data<float>();
  float* lse = args.out[1].defined() ? args.out[1].data<float>() : nullptr;
  std::fill_n(loss, tokens, 0.0f);
  if (lse != nullptr) std::fill_n(lse, tokens, 0.0f);
  WantedRows wanted(args);
  wanted.for_chunks([&](int64_t count) {
    args.device.threads().parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float total = table.log_sum_exp(wanted.logits(i), classes);
        loss[wanted.row(i)] = total - wanted.logits(i)[wanted.label(i)];
        if (lse != nullptr) lse[wanted.row(i)] = total;
      }
    });
  });
}

// dx, and dweight where there is a second output.
void backward_f32(const KernelArgs& args) {
  const int64_t width = args.in[0].dim(1), classes = args.in[1].dim(0);
  const Tensor lse_tensor = args.in[3].contiguous(), dloss_tensor = args.in[4].contiguous();
  const float *lse = lse_tensor.data<float>(), *dloss = dloss_tensor.data<float>();
  const auto& table = cpu::softmax_table_for(args.device.isa());
  float* dx = args.out[0].data<float>();
  float* dweight = args.out.size() > 1 ? args.out[1].data<float>() : nullptr;
  std::fill_n(dx, args.out[0].numel(), 0.0f);
  if (dweight != nullptr) std::fill_n(dweight, args.out[1].numel(), 0.0f);
  WantedRows wanted(args);
  wanted.for_chunks([&](int64_t count) {
    args.device.threads().parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = wanted.row(i);
        float* logits = wanted.logits(i);
        table.scaled_exp(logits, lse[row], dloss[row], logits, classes);
        logits[wanted.label(i)] -= dloss[row];
      }
    });
    const MatrixView dlogits = wanted.rows_of_logits(count);
    gemm(args.device, dlogits, wanted.weight(), wanted.dx(0), width);
    for (int64_t i = 0; i < count; ++i)
      std::copy_n(wanted.dx(i), width, dx + wanted.row(i) * width);
    if (dweight == nullptr) return;
    GemmOptions options;
    options.accumulate = true;
    gemm(args.device, dlogits.t(), wanted.rows_of_x(count), dweight, width, options);
  });
}

Kernel f32_kernel(void (*run)(const KernelArgs&), bool float_weight) {
  return {.name = "cpu.f32",
          .device_kind = "cpu",
          .refuses = [float_weight](std::span<const Tensor> in,
                                    const Attrs&) -> std::optional<std::string> {
            const DType weight = in[1].dtype();
            if (in[0].dtype() != DType::kF32) return "takes f32";
            if (weight == DType::kF64 || (float_weight && weight != DType::kF32)) {
              return fmt::format("takes no weight of {}", name(weight));
            }
            return std::nullopt;
          },
          .run = run,
          .workspace = workspace_bytes};
}

Tensor all_logits(std::span<const Tensor> in, const Attrs& attrs) {
  return ops::linear(in[0], in[1], {}, 0, attrs.as<LinearCrossEntropyAttrs>().exact_activations);
}

std::vector<Tensor> forward_reference(std::span<const Tensor> in, const Attrs& attrs) {
  return cross_entropy_op().reference(std::vector<Tensor>{all_logits(in, attrs), in[2]}, {});
}

std::vector<Tensor> backward_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const std::vector<Tensor> rows = {all_logits(in, attrs), in[2], in[3], in[4]};
  const Tensor dlogits = cross_entropy_backward_op().reference(rows, {})[0];
  return {linear_backward_input_op().reference(std::vector<Tensor>{dlogits, in[1]}, {})[0],
          linear_backward_weight_op().reference(std::vector<Tensor>{dlogits, in[0]}, {})[0]};
}

std::vector<Tensor> backward_input_reference(std::span<const Tensor> in, const Attrs& attrs) {
  return {backward_reference(in, attrs)[0]};
}

std::vector<Tensor> gradient(const GradArgs& g) {
  const Tensor& weight = g.in[1];
  const std::vector<Tensor> in = {g.in[0], weight, g.in[2], g.out[1], g.grad_out[0]};
  if (!g.wanted[1]) {
    return {linear_cross_entropy_backward_input_op()(in, g.attrs)[0], Tensor(), Tensor()};
  }
  if (is_quantised(weight.dtype())) {
    fail(Code::kUnimplemented, kName, "weight is {}: it has no gradient; dequantise it first",
         name(weight.dtype()));
  }
  const std::vector<Tensor> both = linear_cross_entropy_backward_op()(in, g.attrs);
  return {both[0], both[1], Tensor()};
}

std::vector<Tensor> checked(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  check(attrs.as<LinearCrossEntropyAttrs>().chunk > 0, op.name, "chunk is {}; wants at least 1",
        attrs.as<LinearCrossEntropyAttrs>().chunk);
  std::vector<Tensor> out;
  for (const Op::Output& spec : op.outputs) {
    const Shape shape = spec.name == "dx"        ? in[0].shape()
                        : spec.name == "dweight" ? in[1].shape()
                                                 : Shape{in[0].dim(0)};
    out.push_back(Tensor::meta(shape, in[0].dtype(), in[0].device()));
  }
  return out;
}

OpBuilder begin(std::string name, std::string doc) {
  OpBuilder builder(std::move(name));
  builder.doc(std::move(doc))
      .source("Wijmans et al. 2024, Cut Your Losses in Large-Vocabulary Language Models")
      .attrs(LinearCrossEntropyAttrs{})
      .input("x", "[T, D]")
      .input("weight", "[V, D]", Kind::kWeight)
      .input("labels", "[T]", Kind::kIndex)
      .shape_rule(checked);
  return builder;
}

OpBuilder begin_backward(std::string name, std::string doc) {
  OpBuilder builder = begin(std::move(name), std::move(doc));
  const LinearCrossEntropyAttrs three_rows{3, false};
  builder.input("lse", "[T]")
      .input("dloss", "[T]")
      .not_differentiable()
      .sample({Shape{5, 32}, Shape{33, 32}, Shape{5}, Shape{5}, Shape{5}}, {}, 33)
      .sample({Shape{7, 5}, Shape{9, 5}, Shape{7}, Shape{7}, Shape{7}}, three_rows, 9)
      .sample({Shape{0, 8}, Shape{4, 8}, Shape{0}, Shape{0}, Shape{0}}, {}, 4)
      .accuracy(2, 33)
      .output("dx", "[T, D]");
  return builder;
}

}  // namespace

const Op& linear_cross_entropy_op() {
  static const Op op =
      begin(kName,
            "-log softmax(x weightᵀ)[label] of each row, a chunk of rows at a time; 0 where "
            "label is -100.")
          .output("loss", "[T]")
          .saved_output("lse", "[T]")
          .kernel(f32_kernel(forward_f32, false))
          .reference(forward_reference)
          .gradient(gradient, {0, 1, 2}, {1})
          .sample({Shape{5, 32}, Shape{33, 32}, Shape{5}}, {}, 33)
          .sample({Shape{7, 5}, Shape{9, 5}, Shape{7}}, LinearCrossEntropyAttrs{3, false}, 9)
          .sample({Shape{0, 8}, Shape{4, 8}, Shape{0}}, {}, 4)
          .accuracy(4)
          .build();
  return op;
}

const Op& linear_cross_entropy_backward_input_op() {
  static const Op op =
      begin_backward("linear_cross_entropy_backward_input",
                     "The gradient of linear_cross_entropy for x; computes the logits again.")
          .kernel(f32_kernel(backward_f32, false))
          .reference(backward_input_reference)
          .build();
  return op;
}

const Op& linear_cross_entropy_backward_op() {
  static const Op op =
      begin_backward("linear_cross_entropy_backward",
                     "The gradients of linear_cross_entropy for x and a float weight.")
          .output("dweight", "[V, D]", 1)
          .kernel(f32_kernel(backward_f32, true))
          .reference(backward_reference)
          .build();
  return op;
}

Tensor ops::linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& labels,
                                 bool exact_activations) {
  LinearCrossEntropyAttrs attrs;
  attrs.exact_activations = exact_activations;
  return linear_cross_entropy_op()({x, weight, labels}, attrs)[0];
}

}  // namespace yiti
