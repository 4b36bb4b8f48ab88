// Two passes over a row: its largest element, then the sum of exponentials, in blocks of 1024 that
// are added in f64 so that a vocabulary's length costs no accuracy.
#include "ops/kernels/cpu/softmax.h"

#include "ops/kernels/cpu/row_sum.h"
#include "ops/kernels/cpu/scalar_log.h"

namespace yiti::cpu::YITI_ISA {
namespace {

constexpr int64_t kBlock = 1024;

float top_of(const float* x, int64_t n) {
  const float lowest = -__builtin_inff();
  Vec top[4] = {set1(lowest), set1(lowest), set1(lowest), set1(lowest)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int j = 0; j < 4; ++j) top[j] = max(load(x + i + j * kLanes), top[j]);
  }
  float best = max_lane(max(max(top[0], top[1]), max(top[2], top[3])));
  for (; i < n; ++i) best = x[i] > best ? x[i] : best;
  return best;
}

// The sum of what `term(i, count)` gives, lanes beyond `count` being zero.
template <class Term>
double sum_blocks(int64_t n, Term term) {
  double total = 0;
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t length = n - start < kBlock ? n - start : kBlock;
    total += static_cast<double>(sum_row(
        length, [&](Vec acc, int64_t i, int count) { return acc + term(start + i, count); }));
  }
  return total;
}

// e^x of `count` lanes, zero in the others.
Vec exp_some(Vec x, int count) {
  const Vec y = exp(x);
  if (count == kLanes) return y;
  float lanes[kLanes];
  store(lanes, y);
  return load_n(lanes, count);
}

double sum_exp(const float* x, float top, int64_t n) {
  const Vec t = set1(top);
  return sum_blocks(
      n, [=](int64_t i, int count) { return exp_some(load_some(x + i, count) - t, count); });
}

float log_sum_exp(const float* x, int64_t n) {
  const float top = top_of(x, n);
  return static_cast<float>(static_cast<double>(top) + log_of(sum_exp(x, top, n)));
}

void softmax(const float* x, float* y, int64_t n) {
  const float top = top_of(x, n);
  const Vec t = set1(top);
  const double total = sum_blocks(n, [=](int64_t i, int count) {
    const Vec e = exp_some(load_some(x + i, count) - t, count);
    store_some(y + i, e, count);
    return e;
  });
  const Vec divisor = set1(static_cast<float>(total));
  for_lanes(n, [=](int64_t i, int count) {
    store_some(y + i, load_some(y + i, count) / divisor, count);
  });
}

void subtract(const float* x, float lse, float* y, int64_t n) {
  const Vec l = set1(lse);
  for_lanes(n,
            [=](int64_t i, int count) { store_some(y + i, load_some(x + i, count) - l, count); });
}

void scaled_exp(const float* x, float lse, float factor, float* y, int64_t n) {
  const Vec l = set1(lse), f = set1(factor);
  for_lanes(n, [=](int64_t i, int count) {
    store_some(y + i, f * exp(load_some(x + i, count) - l), count);
  });
}

void softmax_grad(const float* y, const float* dy, float* dx, int64_t n) {
  const double dot = sum_blocks(
      n, [=](int64_t i, int count) { return load_some(y + i, count) * load_some(dy + i, count); });
  const Vec d = set1(static_cast<float>(dot));
  for_lanes(n, [=](int64_t i, int count) {
    store_some(dx + i, load_some(y + i, count) * (load_some(dy + i, count) - d), count);
  });
}

void log_softmax_grad(const float* y, const float* dy, float* dx, int64_t n) {
  const double total =
      sum_blocks(n, [=](int64_t i, int count) { return load_some(dy + i, count); });
  const Vec d = set1(static_cast<float>(total));
  for_lanes(n, [=](int64_t i, int count) {
    store_some(dx + i, fnma(exp(load_some(y + i, count)), d, load_some(dy + i, count)), count);
  });
}

}  // namespace

extern const SoftmaxTable softmax_table;
const SoftmaxTable softmax_table = {log_sum_exp, softmax,      subtract,
                                    scaled_exp,  softmax_grad, log_softmax_grad};

}  // namespace yiti::cpu::YITI_ISA
