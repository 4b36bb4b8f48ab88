#include "examples/howto/softsign.h"

#include <cmath>

#include "examples/howto/softsign_kernel.h"
#include "ops/elementwise/operators.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/row_view.h"

namespace yiti {
namespace {

void forward_f32(const KernelArgs& args) {
  const cpu::RowView x(args.in[0]);
  const auto& table = cpu::softsign_table_for(args.device.isa());
  float* y = args.out[0].data<float>();
  const int64_t n = x.width(), rows_at_once = 1 + 16384 / (1 + n);
  args.device.threads().parallel_for(x.rows(), rows_at_once, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) table.row(x.row(i), y + i * n, n);
  });
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs&) {
  std::vector<double> y = to_doubles(in[0]);
  for (double& value : y) value /= 1 + std::abs(value);
  return {of_doubles(y, in[0].shape(), in[0].dtype(), in[0].device())};
}

// The derivative is 1 / (1 + |x|)², and 1 / (1 + |x|) is 1 - |y|.
std::vector<Tensor> gradient(const GradArgs& g) {
  const Tensor slope = 1 - ops::abs(g.out[0]);
  return {g.grad_out[0] * slope * slope};
}

}  // namespace

const Op& softsign_op() {
  static const Op op = OpBuilder("softsign")
                           .doc("x / (1 + |x|), element by element.")
                           .source("Turian et al. 2009, Quadratic Features and Deep Architectures")
                           .input("x", "[..., D]")
                           .output("y", "[..., D]")
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, forward_f32))
                           .reference(reference)
                           .gradient(gradient, /*inputs=*/{}, /*outputs=*/{0})
                           .sample({Shape{3, 2, 64}})
                           .sample({Shape{5, 67}})
                           .sample({Shape{0, 8}})
                           .accuracy(2)
                           .build();
  return op;
}

Tensor ops::softsign(const Tensor& x) { return softsign_op()({x})[0]; }

}  // namespace yiti
