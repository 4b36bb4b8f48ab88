// Matrix products at the sizes of SmolLM2-135M on one thread.
#include "benchmarks/kernels/share.h"
#include "ops/kernels/cpu/quant.h"
#include "ops/linear/gemm.h"
#include "ops/linear/linear_reference.h"
#include "ops/linear/panels.h"
#include "ops/shape/cast.h"

namespace yiti {
namespace {

// More than caches hold.
constexpr int64_t kCachesBytes = int64_t{128} << 20;
// Few rows wait for weights that come from memory; many rows do not.
constexpr int64_t kFewRows = 16;

struct Sizes {
  int64_t m, n, k;
  double operations() const { return 2.0 * static_cast<double>(m * n * k); }
};

Sizes sizes_of(const benchmark::State& state) {
  return {state.range(0), state.range(1), state.range(2)};
}

// Weights to use in turn: for few rows as many as caches do not hold, else one.
std::vector<Tensor> weights_of(DType dtype, const Sizes& s) {
  const Tensor rows = is_quantised(dtype) ? random_quantised(dtype, s.n, s.k, 1, one_thread())
                                          : ops::cast(noise({s.n, s.k}), dtype);
  const int64_t count = s.m > kFewRows ? 1 : kCachesBytes / static_cast<int64_t>(rows.bytes());
  std::vector<Tensor> weights;
  for (int64_t i = 0; i < count; ++i) {
    weights.push_back(is_quantised(dtype) ? pack_panels(rows) : rows.copy());
  }
  return weights;
}

void linear(benchmark::State& state, DType dtype) {
  const Sizes s = sizes_of(state);
  const Tensor x = noise({s.m, s.k});
  const std::vector<Tensor> weights = weights_of(dtype, s);
  const Tensor y = Tensor::empty({s.m, s.n}, DType::kF32, one_thread());
  std::vector<std::byte> workspace(linear_workspace(*one_thread(), s.m, matrix(weights[0])));
  size_t run = 0;
  for (auto _ : state) {
    linear_into(*one_thread(), matrix(x), matrix(weights[run++ % weights.size()]), y.data<float>(),
                s.n, {}, workspace.data());
    benchmark::ClobberMemory();
  }
  Work work{.bytes = s.m <= kFewRows ? static_cast<double>(weights[0].bytes()) : 0};
  (is_quantised(dtype) ? work.int8_operations : work.f32_operations) = s.operations();
  report(state, work);
}

// dx = dy W
void input_gradient(benchmark::State& state, DType dtype) {
  const Sizes s = sizes_of(state);
  const Tensor dy = noise({s.m, s.n});
  const Tensor weight = weights_of(dtype, s)[0];
  const Tensor dx = Tensor::empty({s.m, s.k}, DType::kF32, one_thread());
  for (auto _ : state) {
    gemm(*one_thread(), matrix(dy), matrix(weight), dx.data<float>(), s.k);
    benchmark::ClobberMemory();
  }
  report(state, {.f32_operations = s.operations()});
}

// dw = dyᵀ x
void weight_gradient(benchmark::State& state) {
  const Sizes s = sizes_of(state);
  const Tensor dy = noise({s.m, s.n});
  const Tensor x = noise({s.m, s.k});
  const Tensor dw = Tensor::empty({s.n, s.k}, DType::kF32, one_thread());
  for (auto _ : state) {
    gemm(*one_thread(), matrix(dy).t(), matrix(x), dw.data<float>(), s.k);
    benchmark::ClobberMemory();
  }
  report(state, {.f32_operations = s.operations()});
}

void quantise_activations(benchmark::State& state) {
  const int64_t m = state.range(0), k = state.range(1);
  const Tensor x = noise({m, k});
  std::vector<int8_t> codes(static_cast<size_t>(m * k));
  std::vector<cpu::BlockScale> scales(codes.size() / 32);
  const auto& table = cpu::quant_table_for(one_thread()->isa());
  for (auto _ : state) {
    table.quantise(x.data<float>(), m * k / 32, codes.data(), scales.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(x.bytes()));
}

void pack(benchmark::State& state, DType dtype) {
  const Tensor rows = random_quantised(dtype, 1536, 576, 1, one_thread());
  for (auto _ : state) benchmark::DoNotOptimize(pack_panels(rows).raw());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(rows.bytes()));
}

// [rows, N, K]: q and o, k and v, gate and up, down; and the head, which few rows meet.
void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"M", "N", "K"});
  for (int64_t m : {1, 16, 512}) {
    for (const auto& [n, k] : {std::pair{576, 576}, {192, 576}, {1536, 576}, {576, 1536}}) {
      b->Args({m, n, k});
    }
  }
  for (int64_t m : {1, 16}) b->Args({m, 49152, 576});
}

// The last two are LoRA's matrices of rank 8.
void training_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"M", "N", "K"});
  for (const auto& [n, k] :
       {std::pair{576, 576}, {192, 576}, {1536, 576}, {576, 1536}, {8, 576}, {576, 8}}) {
    b->Args({512, n, k});
  }
}

// Those of frozen weights; rows that lie whole pages apart, as a wide model's do; a chunk of
// logits.
void frozen_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"M", "N", "K"})->Args({512, 1536, 576})->Args({512, 576, 1536});
  b->Args({512, 2048, 2048})->Args({256, 49152, 576});
}

BENCHMARK_CAPTURE(linear, q4_1, DType::kQ4_1)->Apply(sizes);
BENCHMARK_CAPTURE(linear, q4_0, DType::kQ4_0)->Apply(sizes);
BENCHMARK_CAPTURE(linear, q8_0, DType::kQ8_0)->Apply(sizes);
BENCHMARK_CAPTURE(linear, f32, DType::kF32)->Apply(sizes);
BENCHMARK_CAPTURE(linear, bf16, DType::kBF16)->Apply(sizes);
BENCHMARK_CAPTURE(linear, lora, DType::kF32)->Args({512, 8, 576})->Args({512, 576, 8});
BENCHMARK_CAPTURE(input_gradient, f32, DType::kF32)->Apply(training_sizes);
BENCHMARK_CAPTURE(input_gradient, bf16, DType::kBF16)->Apply(frozen_sizes);
BENCHMARK_CAPTURE(input_gradient, q4_1, DType::kQ4_1)->Apply(frozen_sizes);
BENCHMARK_CAPTURE(input_gradient, q4_0, DType::kQ4_0)->Apply(frozen_sizes);
BENCHMARK_CAPTURE(input_gradient, q8_0, DType::kQ8_0)->Apply(frozen_sizes);
BENCHMARK(weight_gradient)->Apply(training_sizes);
BENCHMARK(quantise_activations)->Args({1, 576})->Args({512, 576});
BENCHMARK_CAPTURE(pack, q4_1, DType::kQ4_1);
BENCHMARK_CAPTURE(pack, q8_0, DType::kQ8_0);

}  // namespace
}  // namespace yiti

BENCHMARK_MAIN();
