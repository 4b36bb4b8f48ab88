#include "ops/norm/swiglu.h"

#include <cmath>

#include "ops/host_values.h"
#include "ops/kernels/cpu/row_view.h"
#include "ops/kernels/cpu/swiglu.h"
#include "ops/norm/norm_rows.h"

namespace yiti {
namespace {

using cpu::RowView;

void forward_f32(const KernelArgs& args) {
  const RowView gate(args.in[0]), up(args.in[1]);
  const auto& table = cpu::swiglu_table_for(args.device.isa());
  float* y = args.out[0].data<float>();
  const int64_t n = gate.width();
  args.device.threads().parallel_for(gate.rows(), cpu::row_grain(4 * n),
                                     [&](int64_t begin, int64_t end) {
                                       for (int64_t i = begin; i < end; ++i)
                                         table.row(gate.row(i), up.row(i), y + i * n, n);
                                     });
}

void backward_f32(const KernelArgs& args) {
  const RowView gate(args.in[0]), up(args.in[1]), dy(args.in[2]);
  const auto& table = cpu::swiglu_table_for(args.device.isa());
  float *dgate = args.out[0].data<float>(), *dup = args.out[1].data<float>();
  const int64_t n = gate.width();
  args.device.threads().parallel_for(
      gate.rows(), cpu::row_grain(4 * n), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          table.row_grad(gate.row(i), up.row(i), dy.row(i), dgate + i * n, dup + i * n, n);
        }
      });
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

std::vector<Tensor> forward_reference(std::span<const Tensor> in, const Attrs&) {
  std::vector<double> y = to_doubles(in[0]);
  const std::vector<double> up = to_doubles(in[1]);
  for (size_t i = 0; i < y.size(); ++i) y[i] *= sigmoid(y[i]) * up[i];
  return {of_doubles(y, in[0].shape(), in[0].dtype(), in[0].device())};
}

std::vector<Tensor> backward_reference(std::span<const Tensor> in, const Attrs&) {
  const std::vector<double> gate = to_doubles(in[0]), up = to_doubles(in[1]),
                            dy = to_doubles(in[2]);
  std::vector<double> dgate(gate.size()), dup(gate.size());
  for (size_t i = 0; i < gate.size(); ++i) {
    const double s = sigmoid(gate[i]);
    dup[i] = dy[i] * gate[i] * s;
    dgate[i] = dy[i] * up[i] * s * (1 + gate[i] * (1 - s));
  }
  return {of_doubles(dgate, in[0].shape(), in[0].dtype(), in[0].device()),
          of_doubles(dup, in[1].shape(), in[1].dtype(), in[0].device())};
}

constexpr const char* kSource = "Shazeer 2020, GLU Variants Improve Transformer";

}  // namespace

const Op& swiglu_op() {
  static const Op op = OpBuilder("swiglu")
                           .doc("silu(gate) * up, elementwise.")
                           .source(kSource)
                           .input("gate", "[..., D]")
                           .input("up", "[..., D]")
                           .output("y", "[..., D]")
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, forward_f32))
                           .reference(forward_reference)
                           .gradient(
                               [](const GradArgs& g) {
                                 return swiglu_backward_op()({g.in[0], g.in[1], g.grad_out[0]});
                               },
                               {0, 1})
                           .cheap()
                           .sample({Shape{3, 2, 64}, Shape{3, 2, 64}})
                           .sample({Shape{5, 67}, Shape{5, 67}})
                           .sample({Shape{0, 8}, Shape{0, 8}})
                           .accuracy(4)
                           .build();
  return op;
}

const Op& swiglu_backward_op() {
  static const Op op = OpBuilder("swiglu_backward")
                           .doc("The gradients of swiglu for gate and up.")
                           .source(kSource)
                           .input("gate", "[..., D]")
                           .input("up", "[..., D]")
                           .input("dy", "[..., D]")
                           .output("dgate", "[..., D]")
                           .output("dup", "[..., D]")
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, backward_f32))
                           .reference(backward_reference)
                           .not_differentiable()
                           .sample({Shape{3, 64}, Shape{3, 64}, Shape{3, 64}})
                           .sample({Shape{5, 67}, Shape{5, 67}, Shape{5, 67}})
                           .sample({Shape{0, 8}, Shape{0, 8}, Shape{0, 8}})
                           .accuracy(4)
                           .build();
  return op;
}

Tensor ops::swiglu(const Tensor& gate, const Tensor& up) { return swiglu_op()({gate, up})[0]; }

}  // namespace yiti
