#include "ops/norm/rms_norm.h"

#include <cmath>

#include "ops/host_values.h"
#include "ops/kernels/cpu/norm.h"
#include "ops/kernels/cpu/row_view.h"
#include "ops/norm/norm_rows.h"

namespace yiti {
namespace {

using cpu::RowView;

const float* floats(const Tensor& contiguous) { return contiguous.data<float>(); }

void forward_f32(const KernelArgs& args) {
  const RowView x(args.in[0]);
  const Tensor weight = args.in[1].contiguous();
  const auto& table = cpu::norm_table_for(args.device.isa());
  const float eps = static_cast<float>(args.attrs.as<NormAttrs>().eps);
  const float* w = floats(weight);
  float* y = args.out[0].data<float>();
  float* rstd = args.out[1].defined() ? args.out[1].data<float>() : nullptr;
  const int64_t width = x.width();
  args.device.threads().parallel_for(
      x.rows(), cpu::row_grain(width), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const float r = table.rms_row(x.row(i), w, eps, y + i * width, width);
          if (rstd != nullptr) rstd[i] = r;
        }
      });
}

void backward_input_f32(const KernelArgs& args) {
  const RowView x(args.in[0]), dy(args.in[3]);
  const Tensor weight = args.in[1].contiguous(), rstd = args.in[2].contiguous();
  const auto& table = cpu::norm_table_for(args.device.isa());
  const float *w = floats(weight), *r = floats(rstd);
  float* dx = args.out[0].data<float>();
  const int64_t width = x.width();
  args.device.threads().parallel_for(
      x.rows(), cpu::row_grain(width), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          table.rms_row_grad(x.row(i), w, r[i], dy.row(i), dx + i * width, width);
        }
      });
}

void backward_weight_f32(const KernelArgs& args) {
  const RowView x(args.in[0]), dy(args.in[2]);
  const Tensor rstd = args.in[1].contiguous();
  const auto& table = cpu::norm_table_for(args.device.isa());
  const float* r = floats(rstd);
  cpu::column_sums(
      args.device.threads(), x.rows(), x.width(), reinterpret_cast<float*>(args.workspace),
      [&](int64_t i, float* partial) {
        table.weight_grad(x.row(i), {0, r[i]}, dy.row(i), partial, nullptr, x.width());
      },
      args.out[0].data<float>());
}

size_t backward_weight_workspace(std::span<const Tensor> in, const Attrs&, Device&) {
  const int64_t width = in[0].dim(-1);
  return width == 0 ? 0 : cpu::column_sums_workspace(in[0].numel() / width, width);
}

Shape leading(const Tensor& x) {
  return Shape(x.shape().dims().first(x.shape().dims().size() - 1));
}

std::vector<Tensor> forward_reference(std::span<const Tensor> in, const Attrs& attrs) {
  std::vector<double> x = to_doubles(in[0]);
  const std::vector<double> weight = to_doubles(in[1]);
  const size_t width = weight.size(), rows = width == 0 ? 0 : x.size() / width;
  std::vector<double> rstd(static_cast<size_t>(leading(in[0]).numel()));
  for (size_t i = 0; i < rows; ++i) {
    double squares = 0;
    for (size_t d = 0; d < width; ++d) squares += x[i * width + d] * x[i * width + d];
    rstd[i] = 1 / std::sqrt(squares / static_cast<double>(width) + attrs.as<NormAttrs>().eps);
    for (size_t d = 0; d < width; ++d) x[i * width + d] *= rstd[i] * weight[d];
  }
  const DType dtype = in[0].dtype();
  return {of_doubles(x, in[0].shape(), dtype, in[0].device()),
          of_doubles(rstd, leading(in[0]), dtype, in[0].device())};
}

std::vector<Tensor> backward_input_reference(std::span<const Tensor> in, const Attrs&) {
  const std::vector<double> x = to_doubles(in[0]), weight = to_doubles(in[1]),
                            rstd = to_doubles(in[2]);
  std::vector<double> dx = to_doubles(in[3]);
  const size_t width = weight.size(), rows = width == 0 ? 0 : x.size() / width;
  for (size_t i = 0; i < rows; ++i) {
    double dot = 0;
    for (size_t d = 0; d < width; ++d) dot += dx[i * width + d] * weight[d] * x[i * width + d];
    const double shrink = rstd[i] * rstd[i] * dot / static_cast<double>(width);
    for (size_t d = 0; d < width; ++d) {
      double& slot = dx[i * width + d];
      slot = rstd[i] * (slot * weight[d] - x[i * width + d] * shrink);
    }
  }
  return {of_doubles(dx, in[0].shape(), in[0].dtype(), in[0].device())};
}

std::vector<Tensor> backward_weight_reference(std::span<const Tensor> in, const Attrs&) {
  const std::vector<double> x = to_doubles(in[0]), rstd = to_doubles(in[1]), dy = to_doubles(in[2]);
  const size_t width = static_cast<size_t>(in[0].dim(-1)), rows = width == 0 ? 0 : x.size() / width;
  std::vector<double> dweight(width, 0.0);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t d = 0; d < width; ++d) {
      dweight[d] += dy[i * width + d] * x[i * width + d] * rstd[i];
    }
  }
  return {of_doubles(dweight, {in[0].dim(-1)}, in[0].dtype(), in[0].device())};
}

std::vector<Tensor> gradient(const GradArgs& g) {
  const Tensor &x = g.in[0], &weight = g.in[1], &rstd = g.out[1], &dy = g.grad_out[0];
  std::vector<Tensor> grads(2);
  if (g.wanted[0]) grads[0] = rms_norm_backward_input_op()({x, weight, rstd, dy})[0];
  if (g.wanted[1]) grads[1] = rms_norm_backward_weight_op()({x, rstd, dy})[0];
  return grads;
}

constexpr const char* kSource = "Zhang & Sennrich 2019, Root Mean Square Layer Normalization";

}  // namespace

const Op& rms_norm_op() {
  static const Op op = OpBuilder("rms_norm")
                           .doc(
                               "Scales each last-axis row of x to unit root mean square, then by "
                               "weight.")
                           .source(kSource)
                           .attrs(NormAttrs{})
                           .input("x", "[..., D]")
                           .input("weight", "[D]")
                           .output("y", "[..., D]")
                           .saved_output("rstd", "[...]")
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, forward_f32))
                           .reference(forward_reference)
                           .gradient(gradient, {0, 1}, {1})
                           .cheap()
                           .sample({Shape{3, 2, 64}, Shape{64}})
                           .sample({Shape{5, 67}, Shape{67}})
                           .sample({Shape{4, 1}, Shape{1}})
                           .sample({Shape{0, 8}, Shape{8}})
                           .accuracy(4)
                           .build();
  return op;
}

const Op& rms_norm_backward_input_op() {
  static const Op op = OpBuilder("rms_norm_backward_input")
                           .doc("The gradient of rms_norm for x.")
                           .source(kSource)
                           .input("x", "[..., D]")
                           .input("weight", "[D]")
                           .input("rstd", "[...]")
                           .input("dy", "[..., D]")
                           .output("dx", "[..., D]")
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, backward_input_f32))
                           .reference(backward_input_reference)
                           .not_differentiable()
                           .sample({Shape{3, 64}, Shape{64}, Shape{3}, Shape{3, 64}})
                           .sample({Shape{5, 67}, Shape{67}, Shape{5}, Shape{5, 67}})
                           .sample({Shape{0, 8}, Shape{8}, Shape{0}, Shape{0, 8}})
                           .accuracy(4)
                           .build();
  return op;
}

const Op& rms_norm_backward_weight_op() {
  static const Op op = [] {
    Kernel kernel = cpu_kernel("cpu.f32", DType::kF32, backward_weight_f32);
    kernel.workspace = backward_weight_workspace;
    return OpBuilder("rms_norm_backward_weight")
        .doc("The gradient of rms_norm for weight.")
        .source(kSource)
        .input("x", "[..., D]")
        .input("rstd", "[...]")
        .input("dy", "[..., D]")
        .output("dweight", "[D]")
        .kernel(std::move(kernel))
        .reference(backward_weight_reference)
        .not_differentiable()
        .sample({Shape{3, 64}, Shape{3}, Shape{3, 64}})
        .sample({Shape{131, 7}, Shape{131}, Shape{131, 7}})
        .sample({Shape{0, 8}, Shape{0}, Shape{0, 8}})
        .accuracy(1, 131)
        .build();
  }();
  return op;
}

Tensor ops::rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  return rms_norm_op()({x, weight}, NormAttrs{eps})[0];
}

}  // namespace yiti
