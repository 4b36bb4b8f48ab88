#include "ops/optim/square_sum.h"

#include "core/error.h"
#include "ops/elementwise/operators.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/reduce.h"
#include "ops/shape/cast.h"
#include "ops/shape/contiguous.h"

namespace yiti {
namespace {

constexpr int64_t kChunk = 4096;

int64_t chunks_of(const Tensor& x) { return (x.numel() + kChunk - 1) / kChunk; }

size_t workspace(std::span<const Tensor> in, const Attrs&, Device&) {
  return static_cast<size_t>(chunks_of(in[0])) * sizeof(double);
}

double square_sum_f64(const double* x, int64_t n) {
  double lanes[8] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i % 8] += x[i] * x[i];
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
         ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

// f(first element, count) sums one chunk.
template <class T, class F>
void run_chunks(const KernelArgs& args, const F& f) {
  const Tensor x = ops::contiguous(args.in[0]);
  double* parts = reinterpret_cast<double*>(args.workspace);
  args.device.threads().parallel_for(chunks_of(x), 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      parts[i] = f(x.data<T>() + i * kChunk, std::min(kChunk, x.numel() - i * kChunk));
    }
  });
  double total = 0;
  for (int64_t i = 0; i < chunks_of(x); ++i) total += parts[i];
  *args.out[0].data<double>() = total;
}

Kernel kernel(const char* name, DType dtype, void (*run)(const KernelArgs&)) {
  Kernel made = cpu_kernel(name, dtype, run);
  made.workspace = &workspace;
  return made;
}

}  // namespace

const Op& square_sum_op() {
  static const Op op =
      OpBuilder("square_sum")
          .doc("The sum of squares in f64, in an order that depends on the size alone.")
          .source("Blocked summation: Higham 1993")
          .input("x", "[...]")
          .output("y", "[]", DType::kF64)
          .kernel(kernel("cpu.f32", DType::kF32,
                         [](const KernelArgs& args) {
                           run_chunks<float>(args,
                                             cpu::reduce_table_for(args.device.isa()).square_sum);
                         }))
          .kernel(kernel("cpu.f64", DType::kF64,
                         [](const KernelArgs& args) { run_chunks<double>(args, square_sum_f64); }))
          .reference([](std::span<const Tensor> in, const Attrs&) -> std::vector<Tensor> {
            long double total = 0;
            for (double value : to_doubles(in[0])) {
              total += static_cast<long double>(value) * static_cast<long double>(value);
            }
            const auto rounded = static_cast<double>(total);
            return {of_doubles(std::span(&rounded, 1), {}, DType::kF64, in[0].device())};
          })
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                const Tensor& x = args.in[0];
                return {x * 2 * ops::cast(args.grad_out[0], x.dtype())};
              },
              {0})
          .sample({Shape{3, 67}})
          .sample({Shape{2, 4099}})
          .sample({Shape{0, 5}})
          .accuracy(2, 64)
          .build();
  return op;
}

namespace ops {

Tensor square_sum(const Tensor& x) { return square_sum_op()({x})[0]; }

}  // namespace ops
}  // namespace yiti
