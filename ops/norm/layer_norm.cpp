#include "ops/norm/layer_norm.h"

#include <cmath>

#include "ops/host_values.h"
#include "ops/kernels/cpu/norm.h"
#include "ops/kernels/cpu/row_view.h"
#include "ops/norm/norm_rows.h"
#include "ops/norm/rms_norm.h"

namespace yiti {
namespace {

using cpu::RowView;

Tensor contiguous_or_none(const Tensor& tensor) {
  return tensor.defined() ? tensor.contiguous() : Tensor();
}
const float* floats_or_null(const Tensor& contiguous) {
  return contiguous.defined() ? contiguous.data<float>() : nullptr;
}

void forward_f32(const KernelArgs& args) {
  const RowView x(args.in[0]);
  const Tensor weight = contiguous_or_none(args.in[1]), bias = contiguous_or_none(args.in[2]);
  const auto& table = cpu::norm_table_for(args.device.isa());
  const float eps = static_cast<float>(args.attrs.as<NormAttrs>().eps);
  const float *w = floats_or_null(weight), *b = floats_or_null(bias);
  float* y = args.out[0].data<float>();
  float* mean = args.out[1].defined() ? args.out[1].data<float>() : nullptr;
  float* rstd = args.out[2].defined() ? args.out[2].data<float>() : nullptr;
  const int64_t width = x.width();
  args.device.threads().parallel_for(
      x.rows(), cpu::row_grain(width), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const auto moments = table.layer_row(x.row(i), w, b, eps, y + i * width, width);
          if (mean != nullptr) mean[i] = moments.mean;
          if (rstd != nullptr) rstd[i] = moments.rstd;
        }
      });
}

void backward_input_f32(const KernelArgs& args) {
  const RowView x(args.in[0]), dy(args.in[4]);
  const Tensor weight = contiguous_or_none(args.in[1]);
  const Tensor mean = args.in[2].contiguous(), rstd = args.in[3].contiguous();
  const auto& table = cpu::norm_table_for(args.device.isa());
  const float *w = floats_or_null(weight), *m = mean.data<float>(), *r = rstd.data<float>();
  float* dx = args.out[0].data<float>();
  const int64_t width = x.width();
  args.device.threads().parallel_for(
      x.rows(), cpu::row_grain(width), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          table.layer_row_grad(x.row(i), w, {m[i], r[i]}, dy.row(i), dx + i * width, width);
        }
      });
}

// Both gradients are columns of one row of sums: dweight, then dbias.
void backward_weight_f32(const KernelArgs& args) {
  const RowView x(args.in[0]), dy(args.in[3]);
  const Tensor mean = args.in[1].contiguous(), rstd = args.in[2].contiguous();
  const auto& table = cpu::norm_table_for(args.device.isa());
  const float *m = mean.data<float>(), *r = rstd.data<float>();
  const int64_t width = x.width();
  float* sums = reinterpret_cast<float*>(args.workspace);
  cpu::column_sums(
      args.device.threads(), x.rows(), 2 * width, sums + 2 * width,
      [&](int64_t i, float* partial) {
        table.weight_grad(x.row(i), {m[i], r[i]}, dy.row(i), partial, partial + width, width);
      },
      sums);
  std::copy_n(sums, width, args.out[0].data<float>());
  std::copy_n(sums + width, width, args.out[1].data<float>());
}

size_t backward_weight_workspace(std::span<const Tensor> in, const Attrs&, Device&) {
  const int64_t width = in[0].dim(-1);
  const int64_t rows = width == 0 ? 0 : in[0].numel() / width;
  return cpu::column_sums_workspace(rows, 2 * width) +
         static_cast<size_t>(2 * width) * sizeof(float);
}

Shape leading(const Tensor& x) {
  return Shape(x.shape().dims().first(x.shape().dims().size() - 1));
}

std::vector<double> ones_unless(const Tensor& weight, size_t width) {
  return weight.defined() ? to_doubles(weight) : std::vector<double>(width, 1.0);
}

std::vector<Tensor> forward_reference(std::span<const Tensor> in, const Attrs& attrs) {
  std::vector<double> x = to_doubles(in[0]);
  const size_t width = static_cast<size_t>(in[0].dim(-1)), rows = width == 0 ? 0 : x.size() / width;
  const std::vector<double> weight = ones_unless(in[1], width);
  const std::vector<double> bias =
      in[2].defined() ? to_doubles(in[2]) : std::vector<double>(width, 0.0);
  std::vector<double> mean(static_cast<size_t>(leading(in[0]).numel())), rstd(mean.size());
  for (size_t i = 0; i < rows; ++i) {
    double* row = x.data() + i * width;
    for (size_t d = 0; d < width; ++d) mean[i] += row[d] / static_cast<double>(width);
    double variance = 0;
    for (size_t d = 0; d < width; ++d) {
      variance += (row[d] - mean[i]) * (row[d] - mean[i]) / static_cast<double>(width);
    }
    rstd[i] = 1 / std::sqrt(variance + attrs.as<NormAttrs>().eps);
    for (size_t d = 0; d < width; ++d) row[d] = (row[d] - mean[i]) * rstd[i] * weight[d] + bias[d];
  }
  const DType dtype = in[0].dtype();
  const DevicePtr& device = in[0].device();
  return {of_doubles(x, in[0].shape(), dtype, device),
          of_doubles(mean, leading(in[0]), dtype, device),
          of_doubles(rstd, leading(in[0]), dtype, device)};
}

std::vector<Tensor> backward_input_reference(std::span<const Tensor> in, const Attrs&) {
  const std::vector<double> x = to_doubles(in[0]), mean = to_doubles(in[2]),
                            rstd = to_doubles(in[3]);
  std::vector<double> dx = to_doubles(in[4]);
  const size_t width = static_cast<size_t>(in[0].dim(-1)), rows = width == 0 ? 0 : x.size() / width;
  const std::vector<double> weight = ones_unless(in[1], width);
  for (size_t i = 0; i < rows; ++i) {
    double total = 0, dot = 0;
    const auto hat = [&](size_t d) { return (x[i * width + d] - mean[i]) * rstd[i]; };
    for (size_t d = 0; d < width; ++d) {
      double& g = dx[i * width + d];
      g *= weight[d];
      total += g / static_cast<double>(width);
      dot += g * hat(d) / static_cast<double>(width);
    }
    for (size_t d = 0; d < width; ++d) {
      dx[i * width + d] = rstd[i] * (dx[i * width + d] - total - hat(d) * dot);
    }
  }
  return {of_doubles(dx, in[0].shape(), in[0].dtype(), in[0].device())};
}

std::vector<Tensor> backward_weight_reference(std::span<const Tensor> in, const Attrs&) {
  const std::vector<double> x = to_doubles(in[0]), mean = to_doubles(in[1]),
                            rstd = to_doubles(in[2]), dy = to_doubles(in[3]);
  const size_t width = static_cast<size_t>(in[0].dim(-1)), rows = width == 0 ? 0 : x.size() / width;
  std::vector<double> dweight(width, 0.0), dbias(width, 0.0);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t d = 0; d < width; ++d) {
      const double g = dy[i * width + d];
      dweight[d] += g * (x[i * width + d] - mean[i]) * rstd[i];
      dbias[d] += g;
    }
  }
  const Shape shape = {in[0].dim(-1)};
  return {of_doubles(dweight, shape, in[0].dtype(), in[0].device()),
          of_doubles(dbias, shape, in[0].dtype(), in[0].device())};
}

std::vector<Tensor> gradient(const GradArgs& g) {
  const Tensor &x = g.in[0], &weight = g.in[1], &dy = g.grad_out[0];
  const Tensor &mean = g.out[1], &rstd = g.out[2];
  std::vector<Tensor> grads(3);
  if (g.wanted[0]) grads[0] = layer_norm_backward_input_op()({x, weight, mean, rstd, dy})[0];
  if (g.wanted[1] || g.wanted[2]) {
    const auto both = layer_norm_backward_weight_op()({x, mean, rstd, dy});
    if (g.wanted[1]) grads[1] = both[0];
    if (g.wanted[2]) grads[2] = both[1];
  }
  return grads;
}

constexpr const char* kSource = "Ba, Kiros & Hinton 2016, Layer Normalization";

}  // namespace

const Op& layer_norm_op() {
  static const Op op = OpBuilder("layer_norm")
                           .doc(
                               "Shifts each last-axis row of x to mean 0 and scales it to variance "
                               "1, then by weight, and adds bias.")
                           .source(kSource)
                           .attrs(NormAttrs{1e-5})
                           .input("x", "[..., D]")
                           .optional_input("weight", "[D]")
                           .optional_input("bias", "[D]")
                           .output("y", "[..., D]")
                           .saved_output("mean", "[...]")
                           .saved_output("rstd", "[...]")
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, forward_f32))
                           .reference(forward_reference)
                           .gradient(gradient, {0, 1}, {1, 2})
                           .sample({Shape{3, 2, 64}, Shape{64}, Shape{64}}, NormAttrs{1e-5})
                           .sample({Shape{5, 67}, Shape{67}, std::nullopt}, NormAttrs{1e-5})
                           .sample({Shape{5, 9}, std::nullopt, Shape{9}}, NormAttrs{1e-5})
                           .sample({Shape{0, 8}, Shape{8}, Shape{8}}, NormAttrs{1e-5})
                           .accuracy(4)
                           .build();
  return op;
}

const Op& layer_norm_backward_input_op() {
  static const Op op = OpBuilder("layer_norm_backward_input")
                           .doc("The gradient of layer_norm for x.")
                           .source(kSource)
                           .input("x", "[..., D]")
                           .optional_input("weight", "[D]")
                           .input("mean", "[...]")
                           .input("rstd", "[...]")
                           .input("dy", "[..., D]")
                           .output("dx", "[..., D]")
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, backward_input_f32))
                           .reference(backward_input_reference)
                           .not_differentiable()
                           .sample({Shape{3, 64}, Shape{64}, Shape{3}, Shape{3}, Shape{3, 64}})
                           .sample({Shape{5, 67}, std::nullopt, Shape{5}, Shape{5}, Shape{5, 67}})
                           .sample({Shape{0, 8}, Shape{8}, Shape{0}, Shape{0}, Shape{0, 8}})
                           .accuracy(4)
                           .build();
  return op;
}

const Op& layer_norm_backward_weight_op() {
  static const Op op = [] {
    Kernel kernel = cpu_kernel("cpu.f32", DType::kF32, backward_weight_f32);
    kernel.workspace = backward_weight_workspace;
    return OpBuilder("layer_norm_backward_weight")
        .doc("The gradients of layer_norm for weight and bias.")
        .source(kSource)
        .input("x", "[..., D]")
        .input("mean", "[...]")
        .input("rstd", "[...]")
        .input("dy", "[..., D]")
        .output("dweight", "[D]")
        .output("dbias", "[D]")
        .kernel(std::move(kernel))
        .reference(backward_weight_reference)
        .not_differentiable()
        .sample({Shape{3, 64}, Shape{3}, Shape{3}, Shape{3, 64}})
        .sample({Shape{131, 7}, Shape{131}, Shape{131}, Shape{131, 7}})
        .sample({Shape{0, 8}, Shape{0}, Shape{0}, Shape{0, 8}})
        .accuracy(1, 131)
        .build();
  }();
  return op;
}

Tensor ops::layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  return layer_norm_op()({x, weight, bias}, NormAttrs{eps})[0];
}

}  // namespace yiti
