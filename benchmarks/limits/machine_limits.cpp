// What this machine can do at most, as JSON, for shares of it: machine_limits [THREADS]
//
// Arithmetic runs in registers alone, two operations a multiply-add; reading sums a buffer that no
// cache holds. Each is the best of several runs on all threads at once. int8 products are those of
// unsigned with signed bytes: VNNI's where it is, else AVX2's, whose sums fit 16 bits.
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

namespace {

constexpr int kRuns = 5;
constexpr int64_t kRounds = 20'000'000;
constexpr size_t kBufferBytes = size_t{1} << 29;

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
      _Pragma("GCC unroll 12") for (VECTOR & s : sum) {                                           \
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

__attribute__((target("avx2"))) void read(const uint8_t* begin, const uint8_t* end) {
  __m256i sum[8] = {};
  for (; begin + 256 <= end; begin += 256) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      sum[i] =
          _mm256_xor_si256(sum[i], _mm256_load_si256(reinterpret_cast<const __m256i*>(begin) + i));
    }
  }
  int32_t total = 0;
#pragma GCC unroll 12
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
  const std::unique_ptr<void, decltype(free)> buffer(std::aligned_alloc(4096, kBufferBytes), free);
  auto* bytes = static_cast<uint8_t*>(buffer.get());
  std::fill_n(bytes, kBufferBytes, uint8_t{1});
  const size_t part = kBufferBytes / static_cast<size_t>(threads) / 256 * 256;
  const double seconds = best_seconds(threads, [&](int t) {
    const uint8_t* begin = bytes + static_cast<size_t>(t) * part;
    read(begin, begin + part);
  });
  return 1e-9 * static_cast<double>(part) * threads / seconds;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads =
      argc > 1 ? std::atoi(argv[1]) : static_cast<int>(std::thread::hardware_concurrency());
  if (threads < 1 || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    std::cerr << "machine_limits: wants a number of threads and a processor with AVX2\n";
    return 1;
  }
  const bool avx512 = __builtin_cpu_supports("avx512f");
  nlohmann::ordered_json out;
  out["threads"] = threads;
  out["f32_gflops"] = avx512 ? giga_operations(threads, 16, multiply_f32_avx512)
                             : giga_operations(threads, 8, multiply_f32_avx2);
  out["int8_gops"] = avx512 && __builtin_cpu_supports("avx512vnni")
                         ? giga_operations(threads, 64, multiply_i8_vnni)
                         : giga_operations(threads, 32, multiply_i8_avx2);
  if (__builtin_cpu_supports("avx512bf16")) {
    out["bf16_gflops"] = giga_operations(threads, 32, multiply_bf16);
  }
  out["read_gb_per_s"] = giga_bytes_read(threads);
  std::cout << out.dump(2) << '\n';
}
