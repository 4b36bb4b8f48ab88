// Attention on one kv cache layout: prefill, decode, and a training step's forward and backward.
// Reports floating point operations of the causal half: two products forward, five backward.
#include <benchmark/benchmark.h>

#include <cmath>

#include "ops/attention/attention.h"
#include "ops/attention/attention_paged.h"
#include "ops/attention/key_block.h"

namespace yiti {
namespace {

struct Sizes {
  int64_t tokens, heads, kv_heads, head_dim;
};

Sizes sizes_of(const benchmark::State& state) {
  return {state.range(0), state.range(1), state.range(2), state.range(3)};
}

Tensor noise(const Shape& shape, const DevicePtr& device) {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
  return Tensor::from(values, shape, device);
}

std::vector<Tensor> packed(const Sizes& s, const DevicePtr& device) {
  std::vector<int32_t> positions;
  for (int64_t i = 0; i < s.tokens; ++i) positions.push_back(static_cast<int32_t>(i));
  return {noise({s.tokens, s.heads, s.head_dim}, device),
          noise({s.tokens, s.kv_heads, s.head_dim}, device),
          noise({s.tokens, s.kv_heads, s.head_dim}, device),
          Tensor::from(positions, {s.tokens}, device)};
}

// Multiply-adds count as two; `products` of [T, D] by [D, T], of which half is seen.
void report(benchmark::State& state, const Sizes& s, double products) {
  const auto t = static_cast<double>(s.tokens);
  const double flops = products * t * (t + 1) * static_cast<double>(s.heads * s.head_dim);
  state.counters["flops"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate,
                                               benchmark::Counter::kIs1000);
}

void forward(benchmark::State& state) {
  const Sizes s = sizes_of(state);
  const std::vector<Tensor> in =
      packed(s, make_cpu_device({.threads = static_cast<int>(state.range(4))}));
  for (auto _ : state) {
    benchmark::DoNotOptimize(attention_op()(in, AttentionAttrs{0.125, 0, "f16"}));
  }
  report(state, s, 2);
}

void backward(benchmark::State& state) {
  const Sizes s = sizes_of(state);
  const DevicePtr device = make_cpu_device({.threads = static_cast<int>(state.range(4))});
  std::vector<Tensor> in = packed(s, device);
  const AttentionAttrs attrs{0.125, 0, "f16"};
  const Tensor out = Tensor::empty(in[0].shape(), DType::kF32, device);
  const Tensor lse = Tensor::empty({s.tokens, s.heads}, DType::kF32, device);
  attention_op().run_into(in, attrs, std::vector<Tensor>{out, lse});
  in.insert(in.end(), {out, lse, noise(in[0].shape(), device)});
  for (auto _ : state) benchmark::DoNotOptimize(attention_backward_op()(in, attrs));
  report(state, s, 5);
}

// `queries` new tokens at the end of a cache of `tokens`.
void paged(benchmark::State& state, int64_t queries) {
  const Sizes s = sizes_of(state);
  const DevicePtr device = make_cpu_device({.threads = static_cast<int>(state.range(4))});
  const int64_t blocks = (s.tokens + kKeyBlock - 1) / kKeyBlock;
  const Tensor k_pool =
      Tensor::zeros({blocks, s.kv_heads, s.head_dim, kKeyBlock}, DType::kF16, device);
  const Tensor v_pool =
      Tensor::zeros({blocks, s.kv_heads, kKeyBlock, s.head_dim}, DType::kF16, device);
  std::vector<int32_t> table, positions;
  for (int64_t b = 0; b < blocks; ++b) table.push_back(static_cast<int32_t>(b));
  for (int64_t i = s.tokens - queries; i < s.tokens; ++i)
    positions.push_back(static_cast<int32_t>(i));
  const std::vector<Tensor> in = {noise({queries, s.heads, s.head_dim}, device),
                                  k_pool,
                                  v_pool,
                                  Tensor::from(table, {1, blocks}, device),
                                  Tensor::zeros({queries}, DType::kI32, device),
                                  Tensor::from(positions, {queries}, device)};
  for (auto _ : state) {
    benchmark::DoNotOptimize(attention_paged_op()(in, AttentionPagedAttrs{0.125, 0}));
  }
  state.SetBytesProcessed(state.iterations() *
                          static_cast<int64_t>(k_pool.bytes() + v_pool.bytes()));
}

void decode(benchmark::State& state) { paged(state, 1); }
void prefill(benchmark::State& state) {
  paged(state, state.range(0));
  report(state, sizes_of(state), 2);
}

// Tokens, heads, kv heads, head size, threads.
void shapes(benchmark::internal::Benchmark* bench) {
  for (int64_t threads : {1, 2}) {
    bench->Args({512, 9, 3, 64, threads});
    bench->Args({2048, 9, 3, 64, threads});
    bench->Args({1024, 8, 8, 128, threads});
  }
  bench->UseRealTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK(forward)->Apply(shapes);
BENCHMARK(prefill)->Apply(shapes);
BENCHMARK(decode)->Apply(shapes);
BENCHMARK(backward)->Apply(shapes);

}  // namespace
}  // namespace yiti

BENCHMARK_MAIN();
