#include "benchmarks/limits/limits.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace yiti {
namespace {

constexpr int kRuns = 5;
constexpr int64_t kRounds = 20'000'000;
constexpr size_t kBufferBytes = size_t{1} << 29;
constexpr size_t kHugePage = size_t{1} << 21;

// Results go here, so that they must be computed.
volatile int32_t sink = 0;

// Independent chains, enough to fill the pipes.
constexpr int kChains = 12;

// A function that adds STEP(sum, x) up in all chains. A macro, since a template's argument would
// not be compiled for the function's target. The empty assembly keeps the compiler from foreseeing
// sums.
#define MULTIPLY_LOOP(NAME, TARGET, VECTOR, X, STEP)                                              \
  __attribute__((target(TARGET))) void NAME() {                                                   \
    VECTOR sum[kChains] = {}, x = X;                                                              \
    for (int64_t i = 0; i < kRounds; ++i) {                                                       \
      _Pragma("GCC unroll 12") for (auto& s : sum) {                                              \
        __asm__ volatile("" : "+x"(x));                                                           \
        s = STEP;                                                                                 \
        __asm__ volatile("" : "+x"(s));                                                           \
      }                                                                                           \
    }                                                                                             \
    int32_t total = 0;                                                                            \
    _Pragma("GCC unroll 12") for (const VECTOR& s : sum) { total += static_cast<int32_t>(s[0]); } \
    sink = total;                                                                                 \
  }

MULTIPLY_LOOP(multiply_f32_avx2, "avx2,fma", __m256, _mm256_set1_ps(0.999f),
              _mm256_fmadd_ps(s, x, x))
MULTIPLY_LOOP(multiply_f32_avx512, "avx512f", __m512, _mm512_set1_ps(0.999f),
              _mm512_fmadd_ps(s, x, x))
MULTIPLY_LOOP(multiply_i8_avx2, "avx2", __m256i, _mm256_set1_epi8(3),
              _mm256_add_epi16(s, _mm256_maddubs_epi16(x, x)))
MULTIPLY_LOOP(multiply_i8_vnni, "avx512f,avx512vnni", __m512i, _mm512_set1_epi8(3),
              _mm512_dpbusd_epi32(s, x, x))
MULTIPLY_LOOP(multiply_bf16, "avx512f,avx512bf16", __m512, _mm512_set1_ps(1.0f),
              _mm512_dpbf16_ps(s, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(x)))

// One thread reads as many streams at once as give it most: each has a prefetcher of its own.
constexpr size_t kStreams = 4;
constexpr size_t kStep = 256;

__attribute__((target("avx2"))) void read(const uint8_t* begin, size_t stream_bytes) {
  __m256i sum[8] = {};
  for (size_t at = 0; at < stream_bytes; at += kStep) {
    for (size_t stream = 0; stream < kStreams; ++stream) {
      const auto* lines = reinterpret_cast<const __m256i*>(begin + stream * stream_bytes + at);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) sum[i] = _mm256_xor_si256(sum[i], _mm256_load_si256(lines + i));
    }
  }
  int32_t total = 0;
#pragma GCC unroll 8
  for (const __m256i& s : sum) total += static_cast<int32_t>(s[0]);
  sink = total;
}

// The shortest time of f(thread) on all threads together, in seconds.
double best_seconds(int threads, const std::function<void(int)>& f) {
  double best = 1e30;
  for (int run = 0; run < kRuns; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::jthread> running;
    for (int t = 1; t < threads; ++t) running.emplace_back(f, t);
    f(0);
    running.clear();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    best = std::min(best, taken.count());
  }
  return best;
}

// Billions of operations per second of a loop whose steps do this many multiply-adds each.
double giga_operations(int threads, int lanes, void (*loop)()) {
  const double seconds = best_seconds(threads, [&](int) { loop(); });
  return 2e-9 * kRounds * kChains * lanes * threads / seconds;
}

double giga_bytes_read(int threads) {
  const auto free = [](void* p) { std::free(p); };
  const std::unique_ptr<void, decltype(free)> buffer(std::aligned_alloc(kHugePage, kBufferBytes),
                                                     free);
  auto* bytes = static_cast<uint8_t*>(buffer.get());
  madvise(bytes, kBufferBytes, MADV_HUGEPAGE);  // where there are any
  std::fill_n(bytes, kBufferBytes, uint8_t{1});
  const auto streams = static_cast<size_t>(threads) * kStreams;
  const size_t stream_bytes = kBufferBytes / streams / kStep * kStep;
  const double seconds = best_seconds(threads, [&](int t) {
    read(bytes + static_cast<size_t>(t) * kStreams * stream_bytes, stream_bytes);
  });
  return 1e-9 * static_cast<double>(stream_bytes * streams) / seconds;
}

}  // namespace

MachineLimits measure_limits(int threads) {
  MachineLimits out{.threads = threads};
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return out;
  const bool avx512 = __builtin_cpu_supports("avx512f");
  out.f32_gflops = avx512 ? giga_operations(threads, 16, multiply_f32_avx512)
                          : giga_operations(threads, 8, multiply_f32_avx2);
  out.int8_gops = avx512 && __builtin_cpu_supports("avx512vnni")
                      ? giga_operations(threads, 64, multiply_i8_vnni)
                      : giga_operations(threads, 32, multiply_i8_avx2);
  if (__builtin_cpu_supports("avx512bf16")) {
    out.bf16_gflops = giga_operations(threads, 32, multiply_bf16);
  }
  out.read_gb_per_s = giga_bytes_read(threads);
  return out;
}

}  // namespace yiti

#else

namespace yiti {

MachineLimits measure_limits(int threads) { return {.threads = threads}; }

}  // namespace yiti

#endif
