#include "ops/fused/add_rms_norm.h"

#include "ops/elementwise/binary.h"
#include "ops/kernels/cpu/norm.h"
#include "ops/kernels/cpu/row_view.h"
#include "ops/norm/norm_rows.h"
#include "ops/norm/rms_norm.h"

namespace yiti {
namespace {

using cpu::RowView;

void run(const KernelArgs& args) {
  const RowView x(args.in[0]), y(args.in[1]);
  const Tensor weight = args.in[2].contiguous();
  const auto& table = cpu::norm_table_for(args.device.isa());
  const float eps = static_cast<float>(args.attrs.as<NormAttrs>().eps);
  const float* w = weight.data<float>();
  float *sum = args.out[0].data<float>(), *normed = args.out[1].data<float>();
  const int64_t width = x.width();
  args.device.threads().parallel_for(
      x.rows(), cpu::row_grain(width), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          table.add_rms_row(x.row(i), y.row(i), w, eps, sum + i * width, normed + i * width, width);
        }
      });
}

Kernel f32_kernel() {
  Kernel kernel = cpu_kernel("cpu.f32", DType::kF32, run);
  const auto dtypes = kernel.refuses;
  // A program's add may broadcast.
  kernel.refuses = [dtypes](std::span<const Tensor> in,
                            const Attrs& attrs) -> std::optional<std::string> {
    if (!(in[0].shape() == in[1].shape())) return "x and y differ in shape";
    return dtypes(in, attrs);
  };
  return kernel;
}

}  // namespace

const Op& add_rms_norm_op() {
  static const Op op =
      OpBuilder("add_rms_norm")
          .doc("The sum of x and y, and its rows scaled to unit root mean square, then by weight.")
          .source("add, then rms_norm (Zhang & Sennrich 2019)")
          .attrs(NormAttrs{})
          .input("x", "[..., D]")
          .input("y", "[..., D]")
          .input("weight", "[D]")
          .output("sum", "[..., D]")
          .output("normed", "[..., D]")
          .kernel(f32_kernel())
          .reference([](std::span<const Tensor> in, const Attrs& attrs) -> std::vector<Tensor> {
            const Tensor sum = ops::add(in[0], in[1]);
            return {sum, ops::rms_norm(sum, in[2], attrs.as<NormAttrs>().eps)};
          })
          .sample({Shape{3, 2, 64}, Shape{3, 2, 64}, Shape{64}})
          .sample({Shape{5, 67}, Shape{5, 67}, Shape{67}})
          .sample({Shape{2, 576}, Shape{2, 576}, Shape{576}})
          .sample({Shape{0, 8}, Shape{0, 8}, Shape{8}})
          .accuracy(0)
          .build();
  return op;
}

ops::AddRmsNorm ops::add_rms_norm(const Tensor& x, const Tensor& y, const Tensor& weight,
                                  double eps) {
  const std::vector<Tensor> out = add_rms_norm_op()({x, y, weight}, NormAttrs{eps});
  return {out[0], out[1]};
}

}  // namespace yiti
