// Matrix products at the sizes of SmolLM2-135M on one thread: multiply-adds as FLOP/s, and for few
// rows the rate at which the weights are read. `share` is of what a loop of FMAs in registers gives
// at the end of the same run.
#include <benchmark/benchmark.h>

#include <ctime>

#include "ops/kernels/cpu/quant.h"
#include "ops/linear/gemm.h"
#include "ops/linear/linear_reference.h"
#include "ops/linear/panels.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace yiti {
namespace {

// Each benchmark measures the peak too, since the clock changes with what else the machine does.
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) double fma_flops() {
  constexpr int kChains = 12, kSteps = 200000;
  __m256 chain[kChains] = {};
  const __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
  const auto begin = std::clock();
  for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kChains; ++j) {
      chain[j] = _mm256_fmadd_ps(chain[j], x, y);
    }
  }
  benchmark::DoNotOptimize(chain);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  return 2.0 * 8 * kChains * kSteps / seconds;
}
#else
double fma_flops() { return 0; }
#endif

const DevicePtr& device() {
  static const DevicePtr one = make_cpu_device({.threads = 1});
  return one;
}

Tensor weight_of(DType dtype, int64_t n, int64_t k) {
  if (is_quantised(dtype)) return pack_panels(random_quantised(dtype, n, k, 1, device()));
  const Tensor weight = Tensor::full({n, k}, 0.5, dtype, device());
  return weight;
}

void report(benchmark::State& state, int64_t m, int64_t n, int64_t k, size_t weight_bytes) {
  const double work = 2.0 * static_cast<double>(m * n * k);
  double best = 0;
  for (int i = 0; i < 5; ++i) best = std::max(best, fma_flops());
  state.counters["FLOP/s"] =
      benchmark::Counter(work, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["peak"] = best;
  state.counters["share"] =
      benchmark::Counter(work / best, benchmark::Counter::kIsIterationInvariantRate);
  if (m <= 8) {
    state.counters["weights"] = benchmark::Counter(static_cast<double>(weight_bytes),
                                                   benchmark::Counter::kIsIterationInvariantRate,
                                                   benchmark::Counter::kIs1024);
  }
}

void linear(benchmark::State& state, DType dtype) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const Tensor x = Tensor::full({m, k}, 0.25, DType::kF32, device());
  const Tensor weight = weight_of(dtype, n, k);
  const Tensor y = Tensor::empty({m, n}, DType::kF32, device());
  std::vector<std::byte> workspace(linear_workspace(*device(), m, matrix(weight)));
  for (auto _ : state) {
    linear_into(*device(), matrix(x), matrix(weight), y.data<float>(), n, {}, workspace.data());
    benchmark::ClobberMemory();
  }
  report(state, m, n, k, weight.bytes());
}

// dx = dy W
void input_gradient(benchmark::State& state, DType dtype) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const Tensor dy = Tensor::full({m, n}, 0.25, DType::kF32, device());
  const Tensor weight = weight_of(dtype, n, k);
  const Tensor dx = Tensor::empty({m, k}, DType::kF32, device());
  for (auto _ : state) {
    gemm(*device(), matrix(dy), matrix(weight), dx.data<float>(), k);
    benchmark::ClobberMemory();
  }
  report(state, m, n, k, weight.bytes());
}

// dw = dyᵀ x
void weight_gradient(benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const Tensor dy = Tensor::full({m, n}, 0.25, DType::kF32, device());
  const Tensor x = Tensor::full({m, k}, 0.25, DType::kF32, device());
  const Tensor dw = Tensor::empty({n, k}, DType::kF32, device());
  for (auto _ : state) {
    gemm(*device(), matrix(dy).t(), matrix(x), dw.data<float>(), k);
    benchmark::ClobberMemory();
  }
  report(state, m, n, k, dw.bytes());
}

void quantise_activations(benchmark::State& state) {
  const int64_t m = state.range(0), k = state.range(1);
  const Tensor x = Tensor::full({m, k}, 0.25, DType::kF32, device());
  std::vector<int8_t> codes(static_cast<size_t>(m * k));
  std::vector<cpu::BlockScale> scales(codes.size() / 32);
  const auto& table = cpu::quant_table_for(device()->isa());
  for (auto _ : state) {
    table.quantise(x.data<float>(), m * k / 32, codes.data(), scales.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * m * k * 4);
}

void pack(benchmark::State& state, DType dtype) {
  const Tensor rows = random_quantised(dtype, 1536, 576, 1, device());
  for (auto _ : state) benchmark::DoNotOptimize(pack_panels(rows).raw());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(rows.bytes()));
}

// [rows, N, K]: q and o, k and v, gate and up, down, and the head.
void sizes(benchmark::internal::Benchmark* b) {
  for (int64_t m : {1, 8, 64, 512}) {
    for (const auto& [n, k] : {std::pair{576, 576}, {192, 576}, {1536, 576}, {576, 1536}}) {
      b->Args({m, n, k});
    }
  }
  b->Args({1, 49152, 576})->Args({8, 49152, 576});
}

// The last two are LoRA's matrices of rank 8.
void training_sizes(benchmark::internal::Benchmark* b) {
  for (const auto& [n, k] :
       {std::pair{576, 576}, {192, 576}, {1536, 576}, {576, 1536}, {8, 576}, {576, 8}}) {
    b->Args({512, n, k});
  }
}

BENCHMARK_CAPTURE(linear, f32, DType::kF32)->Apply(sizes);
BENCHMARK_CAPTURE(linear, lora, DType::kF32)->Args({512, 8, 576})->Args({512, 576, 8});
BENCHMARK_CAPTURE(linear, bf16, DType::kBF16)->Apply(sizes);
BENCHMARK_CAPTURE(linear, q4_1, DType::kQ4_1)->Apply(sizes);
BENCHMARK_CAPTURE(linear, q8_0, DType::kQ8_0)->Apply(sizes);
BENCHMARK_CAPTURE(linear, q4_0, DType::kQ4_0)->Args({1, 1536, 576})->Args({512, 1536, 576});
BENCHMARK_CAPTURE(input_gradient, f32, DType::kF32)->Apply(training_sizes);
BENCHMARK_CAPTURE(input_gradient, q4_1, DType::kQ4_1)
    ->Args({512, 1536, 576})
    ->Args({512, 576, 1536});
BENCHMARK(weight_gradient)->Apply(training_sizes);
BENCHMARK(quantise_activations)->Args({1, 576})->Args({512, 576});
BENCHMARK_CAPTURE(pack, q4_1, DType::kQ4_1);
BENCHMARK_CAPTURE(pack, q8_0, DType::kQ8_0);

}  // namespace
}  // namespace yiti

BENCHMARK_MAIN();
