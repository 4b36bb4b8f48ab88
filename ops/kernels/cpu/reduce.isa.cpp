// Memory is read once; sums of blocks are added in f64 (rows) or f32 (columns).
#include "ops/kernels/cpu/reduce.h"

#include "ops/kernels/cpu/simd_math.h"

namespace yiti::cpu::YITI_ISA {
namespace {

constexpr int64_t kRowBlock = 1024, kColumnBlock = 64;

struct Sum {
  static Vec of(Vec a, Vec b) { return a + b; }
  static float start() { return 0; }
};
struct Max {
  static Vec of(Vec a, Vec b) { return keep_nan(a, max(a, b)); }
  static float start() { return -__builtin_inff(); }
};
struct Min {
  static Vec of(Vec a, Vec b) { return keep_nan(a, min(a, b)); }
  static float start() { return __builtin_inff(); }
};

// The first n lanes; the others hold what changes nothing.
template <class F>
Vec load_some(const float* x, int n) {
  float lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) lanes[i] = i < n ? x[i] : F::start();
  return load(lanes);
}

template <class F>
float fold_lanes(Vec x) {
  float lane[kLanes];
  store(lane, x);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    float folded[kLanes] = {}, upper[kLanes] = {};
    for (int i = 0; i < half; ++i) upper[i] = lane[i + half];
    store(folded, F::of(load(lane), load(upper)));
    for (int i = 0; i < half; ++i) lane[i] = folded[i];
  }
  return lane[0];
}

template <class F>
float fold_block(const float* x, int64_t n) {
  Vec acc[4];
  for (Vec& a : acc) a = set1(F::start());
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int j = 0; j < 4; ++j) acc[j] = F::of(acc[j], load(x + i + j * kLanes));
  }
  for (int j = 0; i < n; ++j, i += kLanes) {
    const int64_t rest = n - i;
    acc[j] =
        F::of(acc[j], rest >= kLanes ? load(x + i) : load_some<F>(x + i, static_cast<int>(rest)));
  }
  return fold_lanes<F>(F::of(F::of(acc[0], acc[1]), F::of(acc[2], acc[3])));
}

double sum_row(const float* x, int64_t n) {
  double total = 0;
  for (int64_t i = 0; i < n; i += kRowBlock) {
    total += static_cast<double>(fold_block<Sum>(x + i, n - i < kRowBlock ? n - i : kRowBlock));
  }
  return total;
}

template <class F>
double extremum_row(const float* x, int64_t n) {
  return static_cast<double>(fold_block<F>(x, n));
}

template <class F>
void fold_columns(const float* x, int64_t rows, int64_t stride, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int lanes = static_cast<int>(n - i < kLanes ? n - i : kLanes);
    Vec total = set1(F::start());
    for (int64_t block = 0; block < rows; block += kColumnBlock) {
      const int64_t end = rows - block < kColumnBlock ? rows : block + kColumnBlock;
      Vec acc = set1(F::start());
      for (int64_t r = block; r < end; ++r) {
        const float* p = x + r * stride + i;
        acc = F::of(acc, lanes == kLanes ? load(p) : load_n(p, lanes));
      }
      total = F::of(total, acc);
    }
    store_n(y + i, total, lanes);
  }
}

double square_sum(const float* x, int64_t n) {
  double acc[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int j = 0; j < 8; ++j) {
      const double value = static_cast<double>(x[i + j]);
      acc[j] += value * value;
    }
  }
  for (int j = 0; i < n; ++i, ++j) acc[j] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return ((acc[0] + acc[1]) + (acc[2] + acc[3])) + ((acc[4] + acc[5]) + (acc[6] + acc[7]));
}

}  // namespace

extern const ReduceTable reduce_table;
const ReduceTable reduce_table = {{sum_row, extremum_row<Max>, extremum_row<Min>},
                                  {fold_columns<Sum>, fold_columns<Max>, fold_columns<Min>},
                                  square_sum};

}  // namespace yiti::cpu::YITI_ISA
