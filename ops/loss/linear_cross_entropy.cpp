#include "ops/loss/linear_cross_entropy.h"

#include <algorithm>

#include "ops/elementwise/binary.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/row_view.h"
#include "ops/kernels/cpu/softmax.h"
#include "ops/linear/gemm.h"
#include "ops/linear/linear.h"
#include "ops/loss/cross_entropy.h"
#include "ops/loss/labels.h"
#include "ops/loss/row_loss.h"
#include "ops/shape/reshape.h"

namespace yiti {
namespace {

constexpr const char* kName = "linear_cross_entropy";

const LinearCrossEntropyAttrs kThreeRows{3, false};

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
  bool exact() const { return exact_; }

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

// The loss and log-sum-exp of the chunk's rows; `lse` may be null.
void write_losses(const KernelArgs& args, const WantedRows& wanted, int64_t count, float* lse) {
  const int64_t classes = args.in[1].dim(0);
  const auto& table = cpu::softmax_table_for(args.device.isa());
  float* loss = args.out[0].data<float>();
  args.device.threads().parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float total = table.log_sum_exp(wanted.logits(i), classes);
      loss[wanted.row(i)] = total - wanted.logits(i)[wanted.label(i)];
      if (lse != nullptr) lse[wanted.row(i)] = total;
    }
  });
}

// Turns the chunk's logits into their gradients, and these into rows of dx.
void write_dx(const KernelArgs& args, WantedRows& wanted, int64_t count, const float* lse,
              const float* dloss, float* dx) {
  const int64_t width = args.in[0].dim(1), classes = args.in[1].dim(0);
  const auto& table = cpu::softmax_table_for(args.device.isa());
  args.device.threads().parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = wanted.row(i);
      const float scale = dloss == nullptr ? 1.0f : dloss[row];
      float* logits = wanted.logits(i);
      table.scaled_exp(logits, lse[row], scale, logits, classes);
      logits[wanted.label(i)] -= scale;
    }
  });
  gemm(args.device, wanted.rows_of_logits(count), wanted.weight(), wanted.dx(0), width,
       {.rounded = rounds_activations(wanted.weight().dtype, wanted.exact())});
  for (int64_t i = 0; i < count; ++i) std::copy_n(wanted.dx(i), width, dx + wanted.row(i) * width);
}

// The output's floats, as zeros; null for a saved output that nobody wants.
float* zeroed(const Tensor& out) {
  if (!out.defined()) return nullptr;
  float* floats = out.data<float>();
  std::fill_n(floats, out.numel(), 0.0f);
  return floats;
}

void forward_f32(const KernelArgs& args) {
  zeroed(args.out[0]);
  float* lse = zeroed(args.out[1]);
  WantedRows wanted(args);
  wanted.for_chunks([&](int64_t count) { write_losses(args, wanted, count, lse); });
}

void backward_f32(const KernelArgs& args) {
  const int64_t width = args.in[0].dim(1);
  const Tensor lse = args.in[3].contiguous(), dloss = args.in[4].contiguous();
  float *dx = zeroed(args.out[0]), *dweight = zeroed(args.out[1]);
  WantedRows wanted(args);
  wanted.for_chunks([&](int64_t count) {
    write_dx(args, wanted, count, lse.data<float>(), dloss.data<float>(), dx);
    gemm(args.device, wanted.rows_of_logits(count).t(), wanted.rows_of_x(count), dweight, width,
         {.addend = dweight});
  });
}

// The same logits serve the loss and, where it is wanted, dx.
void frozen_f32(const KernelArgs& args) {
  zeroed(args.out[0]);
  float* dx = zeroed(args.out[1]);
  std::vector<float> lse(static_cast<size_t>(args.in[0].dim(0)));
  WantedRows wanted(args);
  wanted.for_chunks([&](int64_t count) {
    write_losses(args, wanted, count, lse.data());
    if (dx != nullptr) write_dx(args, wanted, count, lse.data(), nullptr, dx);
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
  const LinearAttrs linear{0, attrs.as<LinearCrossEntropyAttrs>().exact_activations};
  return {linear_backward_input_op().reference(std::vector<Tensor>{dlogits, in[1]}, linear)[0],
          linear_backward_weight_op().reference(std::vector<Tensor>{dlogits, in[0]}, {})[0]};
}

std::vector<Tensor> frozen_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const std::vector<Tensor> loss = forward_reference(in, attrs);
  const Tensor ones = Tensor::full(loss[0].shape(), 1, loss[0].dtype(), loss[0].device());
  const std::vector<Tensor> all = {in[0], in[1], in[2], loss[1], ones};
  return {loss[0], backward_reference(all, attrs)[0]};
}

std::vector<Tensor> both_gradients(const GradArgs& g, const Tensor& lse) {
  const Tensor& weight = g.in[1];
  if (is_quantised(weight.dtype())) {
    fail(Code::kUnimplemented, kName, "weight is {}: it has no gradient; dequantise it first",
         name(weight.dtype()));
  }
  const std::vector<Tensor> in = {g.in[0], weight, g.in[2], lse, g.grad_out[0]};
  const std::vector<Tensor> both = linear_cross_entropy_backward_op()(in, g.attrs);
  return {both[0], both[1], Tensor()};
}

std::vector<Tensor> gradient(const GradArgs& g) { return both_gradients(g, g.out[1]); }

// A weight that wants a gradient all the same costs the logits once more.
std::vector<Tensor> frozen_gradient(const GradArgs& g) {
  if (g.wanted[1]) return both_gradients(g, forward_reference(g.in, g.attrs)[1]);
  const Tensor dloss = ops::reshape(g.grad_out[0], Shape{g.in[0].dim(0), 1});
  return {ops::mul(g.out[1], dloss), Tensor(), Tensor()};
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
          .sample({Shape{7, 5}, Shape{9, 5}, Shape{7}}, kThreeRows, 9)
          .sample({Shape{0, 8}, Shape{4, 8}, Shape{0}}, {}, 4)
          .accuracy(4)
          .build();
  return op;
}

const Op& linear_cross_entropy_frozen_op() {
  static const Op op = begin("linear_cross_entropy_frozen",
                             "linear_cross_entropy where the weight takes no gradient: that for x "
                             "is computed with the "
                             "loss, from the same logits.")
                           .output("loss", "[T]")
                           .saved_output("dx", "[T, D]")
                           .kernel(f32_kernel(frozen_f32, false))
                           .reference(frozen_reference)
                           .gradient(frozen_gradient, {0, 1, 2}, {1})
                           .sample({Shape{5, 32}, Shape{33, 32}, Shape{5}}, {}, 33)
                           .sample({Shape{7, 5}, Shape{9, 5}, Shape{7}}, kThreeRows, 9)
                           .sample({Shape{0, 8}, Shape{4, 8}, Shape{0}}, {}, 4)
                           .accuracy(4)
                           .build();
  return op;
}

const Op& linear_cross_entropy_backward_op() {
  static const Op op =
      begin("linear_cross_entropy_backward",
            "The gradients of linear_cross_entropy for x and a float weight.")
          .input("lse", "[T]")
          .input("dloss", "[T]")
          .output("dx", "[T, D]")
          .output("dweight", "[V, D]", 1)
          .not_differentiable()
          .kernel(f32_kernel(backward_f32, true))
          .reference(backward_reference)
          .sample({Shape{5, 32}, Shape{33, 32}, Shape{5}, Shape{5}, Shape{5}}, {}, 33)
          .sample({Shape{7, 5}, Shape{9, 5}, Shape{7}, Shape{7}, Shape{7}}, kThreeRows, 9)
          .sample({Shape{0, 8}, Shape{4, 8}, Shape{0}, Shape{0}, Shape{0}}, {}, 4)
          .accuracy(2, 33)
          .build();
  return op;
}

Tensor ops::linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& labels,
                                 bool exact_activations) {
  LinearCrossEntropyAttrs attrs;
  attrs.exact_activations = exact_activations;
  const Op& op = weight.trace() ? linear_cross_entropy_op() : linear_cross_entropy_frozen_op();
  return op({x, weight, labels}, attrs)[0];
}

}  // namespace yiti
