// Attention with the heads of SmolLM2-135M and of a larger model on one thread: prefill and decode
// over a paged cache, and a training step's forward and backward.
#include "benchmarks/kernels/share.h"
#include "ops/attention/attention.h"
#include "ops/attention/attention_paged.h"
#include "ops/attention/key_block.h"

namespace yiti {
namespace {

constexpr double kScale = 0.125;

struct Sizes {
  int64_t tokens, heads, kv_heads, head_dim;

  // `products` of [T, D] by [D, T], of which the causal half is needed.
  double operations(double products) const {
    const auto t = static_cast<double>(tokens);
    return products * t * (t + 1) * static_cast<double>(heads * head_dim);
  }
};

Sizes sizes_of(const benchmark::State& state) {
  return {state.range(0), state.range(1), state.range(2), state.range(3)};
}

Tensor positions(int64_t begin, int64_t end) {
  std::vector<int32_t> values;
  for (int64_t i = begin; i < end; ++i) values.push_back(static_cast<int32_t>(i));
  return Tensor::from(values, {end - begin}, one_thread());
}

std::vector<Tensor> packed(const Sizes& s) {
  return {noise({s.tokens, s.heads, s.head_dim}), noise({s.tokens, s.kv_heads, s.head_dim}),
          noise({s.tokens, s.kv_heads, s.head_dim}), positions(0, s.tokens)};
}

void forward(benchmark::State& state) {
  const Sizes s = sizes_of(state);
  const std::vector<Tensor> in = packed(s);
  for (auto _ : state) {
    benchmark::DoNotOptimize(attention_op()(in, AttentionAttrs{kScale, 0, "f16"}));
  }
  report(state, {.f32_operations = s.operations(2)});
}

// Five products: scores again, and the gradients of probabilities, q, k and v.
void backward(benchmark::State& state) {
  const Sizes s = sizes_of(state);
  std::vector<Tensor> in = packed(s);
  const AttentionAttrs attrs{kScale, 0, "f16"};
  const Tensor out = Tensor::empty(in[0].shape(), DType::kF32, one_thread());
  const Tensor lse = Tensor::empty({s.tokens, s.heads}, DType::kF32, one_thread());
  attention_op().run_into(in, attrs, std::vector<Tensor>{out, lse});
  in.insert(in.end(), {out, lse, noise(in[0].shape())});
  for (auto _ : state) benchmark::DoNotOptimize(attention_backward_op()(in, attrs));
  report(state, {.f32_operations = s.operations(5)});
}

// `queries` new tokens at the end of a cache of s.tokens; returns the bytes of keys and values.
double paged(benchmark::State& state, const Sizes& s, int64_t queries) {
  const int64_t blocks = (s.tokens + kKeyBlock - 1) / kKeyBlock;
  const Tensor k_pool =
      Tensor::zeros({blocks, s.kv_heads, s.head_dim, kKeyBlock}, DType::kF16, one_thread());
  const Tensor v_pool =
      Tensor::zeros({blocks, s.kv_heads, kKeyBlock, s.head_dim}, DType::kF16, one_thread());
  std::vector<int32_t> table;
  for (int64_t b = 0; b < blocks; ++b) table.push_back(static_cast<int32_t>(b));
  const std::vector<Tensor> in = {noise({queries, s.heads, s.head_dim}),
                                  k_pool,
                                  v_pool,
                                  Tensor::from(table, {1, blocks}, one_thread()),
                                  Tensor::zeros({queries}, DType::kI32, one_thread()),
                                  positions(s.tokens - queries, s.tokens)};
  for (auto _ : state) {
    benchmark::DoNotOptimize(attention_paged_op()(in, AttentionPagedAttrs{kScale, 0}));
  }
  return static_cast<double>(k_pool.bytes() + v_pool.bytes());
}

void prefill(benchmark::State& state) {
  const Sizes s = sizes_of(state);
  paged(state, s, s.tokens);
  report(state, {.f32_operations = s.operations(2)});
}

// One token: its share is of the bandwidth of memory, though caches hold the keys of small depths.
void decode(benchmark::State& state) {
  const Sizes s = sizes_of(state);
  report(state, {.bytes = paged(state, s, 1)});
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "H", "Hkv", "D"})->Unit(benchmark::kMicrosecond);
  b->Args({512, 9, 3, 64})->Args({2048, 9, 3, 64})->Args({1024, 8, 8, 128});
}

void depths(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "H", "Hkv", "D"})->Unit(benchmark::kMicrosecond);
  for (int64_t depth : {128, 1024, 8192}) b->Args({depth, 9, 3, 64});
  b->Args({32768, 8, 8, 128});
}

BENCHMARK(prefill)->Apply(shapes);
BENCHMARK(decode)->Apply(depths);
BENCHMARK(forward)->Apply(shapes);
BENCHMARK(backward)->Apply(shapes);

}  // namespace
}  // namespace yiti

BENCHMARK_MAIN();
