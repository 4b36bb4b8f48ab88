// Norms, softmax, gates, sums and the optimiser's step on one thread, over more than caches hold:
// all are bounded by memory, so their share is of the bandwidth.
#include "benchmarks/kernels/share.h"
#include "ops/attention/rope.h"
#include "ops/elementwise/binary.h"
#include "ops/elementwise/unary.h"
#include "ops/fused/add_rms_norm.h"
#include "ops/norm/rms_norm.h"
#include "ops/norm/softmax.h"
#include "ops/norm/swiglu.h"
#include "ops/optim/adamw.h"

namespace yiti {
namespace {

constexpr int64_t kWidth = 576, kHeads = 9;
constexpr int64_t kRows = 1 << 14;

Tensor rows() { return noise({kRows, kWidth}); }
Tensor row() { return noise({kWidth}); }

// Runs `op` from all inputs into outputs of its own, whose lines are read before they are written,
// or in place. Lines that go back to memory do not wait for each other, and do not count.
void over_memory(benchmark::State& state, const Op& op, const std::vector<Tensor>& in,
                 const Attrs& attrs = {}) {
  std::vector<Tensor> out;
  double bytes = 0;
  for (const Tensor& tensor : in) bytes += static_cast<double>(tensor.bytes());
  for (const Tensor& meta : op.infer(in, attrs)) {
    const int alias = op.outputs[out.size()].alias;
    if (alias >= 0) {
      out.push_back(in[static_cast<size_t>(alias)]);
      continue;
    }
    out.push_back(Tensor::empty(meta.shape(), meta.dtype(), one_thread()));
    bytes += static_cast<double>(out.back().bytes());
  }
  op.run_into(in, attrs, out);  // touches the memory of outputs for the first time
  for (auto _ : state) {
    op.run_into(in, attrs, out);
    benchmark::ClobberMemory();
  }
  report(state, {.bytes = bytes});
}

void rms_norm(benchmark::State& state) {
  over_memory(state, rms_norm_op(), {rows(), row()}, NormAttrs{1e-5});
}
void add_rms_norm(benchmark::State& state) {
  over_memory(state, add_rms_norm_op(), {rows(), rows(), row()}, NormAttrs{1e-5});
}
void softmax(benchmark::State& state) { over_memory(state, softmax_op(), {rows()}); }
void swiglu(benchmark::State& state) { over_memory(state, swiglu_op(), {rows(), rows()}); }
void swiglu_backward(benchmark::State& state) {
  over_memory(state, swiglu_backward_op(), {rows(), rows(), rows()});
}
void add(benchmark::State& state) { over_memory(state, add_op(), {rows(), rows()}); }
void add_row(benchmark::State& state) { over_memory(state, add_op(), {rows(), row()}); }
void exp(benchmark::State& state) { over_memory(state, exp_op(), {rows()}); }
void rope(benchmark::State& state) {
  constexpr int64_t kHeadDim = kWidth / kHeads;
  const Tensor angles = noise({kRows, kHeadDim / 2});
  over_memory(state, rope_op(), {noise({kRows, kHeads, kHeadDim}), angles, angles}, RopeAttrs{});
}
void adamw_step(benchmark::State& state) {
  const Tensor squares = ops::square(rows());
  over_memory(state, adamw_step_op(), {rows(), rows(), rows(), squares}, AdamwAttrs{});
}

BENCHMARK(rms_norm)->Unit(benchmark::kMicrosecond);
BENCHMARK(add_rms_norm)->Unit(benchmark::kMicrosecond);
BENCHMARK(softmax)->Unit(benchmark::kMicrosecond);
BENCHMARK(swiglu)->Unit(benchmark::kMicrosecond);
BENCHMARK(swiglu_backward)->Unit(benchmark::kMicrosecond);
BENCHMARK(add)->Unit(benchmark::kMicrosecond);
BENCHMARK(add_row)->Unit(benchmark::kMicrosecond);
BENCHMARK(exp)->Unit(benchmark::kMicrosecond);
BENCHMARK(rope)->Unit(benchmark::kMicrosecond);
BENCHMARK(adamw_step)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace yiti

BENCHMARK_MAIN();
