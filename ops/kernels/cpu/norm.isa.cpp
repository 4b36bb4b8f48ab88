// Each row is read once for its statistics and, from the cache, once more for its result.
#include "ops/kernels/cpu/norm.h"

#include "ops/kernels/cpu/row_sum.h"

namespace yiti::cpu::YITI_ISA {
namespace {

float mean_of(float total, int64_t n) { return n == 0 ? 0.0f : total / static_cast<float>(n); }

float reciprocal_root(float x) { return 1.0f / __builtin_sqrtf(x); }

// y = x * rstd * weight, where `squares` is the sum of x²; returns rstd.
float scale_row(const float* x, const float* weight, float squares, float eps, float* y,
                int64_t n) {
  const float rstd = reciprocal_root(mean_of(squares, n) + eps);
  const Vec r = set1(rstd);
  for_lanes(n, [=](int64_t i, int count) {
    store_some(y + i, load_some(x + i, count) * r * load_some(weight + i, count), count);
  });
  return rstd;
}

float rms_row(const float* x, const float* weight, float eps, float* y, int64_t n) {
  const float squares = sum_row(n, [x](Vec acc, int64_t i, int count) {
    const Vec v = load_some(x + i, count);
    return fma(v, v, acc);
  });
  return scale_row(x, weight, squares, eps, y, n);
}

void add_rms_row(const float* x, const float* y, const float* weight, float eps, float* sum,
                 float* normed, int64_t n) {
  const float squares = sum_row(n, [=](Vec acc, int64_t i, int count) {
    const Vec v = load_some(x + i, count) + load_some(y + i, count);
    store_some(sum + i, v, count);
    return fma(v, v, acc);
  });
  scale_row(sum, weight, squares, eps, normed, n);
}

// dx = rstd (g - xhat mean(g xhat)) with g = dy weight and xhat = x rstd.
void rms_row_grad(const float* x, const float* weight, float rstd, const float* dy, float* dx,
                  int64_t n) {
  const float dot = sum_row(n, [=](Vec acc, int64_t i, int count) {
    const Vec g = load_some(dy + i, count) * load_some(weight + i, count);
    return fma(g, load_some(x + i, count), acc);
  });
  const Vec r = set1(rstd), shrink = set1(rstd * rstd * mean_of(dot, n));
  for_lanes(n, [=](int64_t i, int count) {
    const Vec g = load_some(dy + i, count) * load_some(weight + i, count);
    store_some(dx + i, r * fnma(load_some(x + i, count), shrink, g), count);
  });
}

Vec or_one(const float* weight, int64_t i, int count) {
  return weight == nullptr ? set1(1.0f) : load_some(weight + i, count);
}

// The lanes that exist keep x, the others are zero.
Vec keep_lanes(Vec x, int count) {
  if (count == kLanes) return x;
  float lanes[kLanes];
  store(lanes, x);
  return load_n(lanes, count);
}

RowMoments layer_row(const float* x, const float* weight, const float* bias, float eps, float* y,
                     int64_t n) {
  const float total =
      sum_row(n, [x](Vec acc, int64_t i, int count) { return acc + load_some(x + i, count); });
  const float mean = mean_of(total, n);
  const Vec m = set1(mean);
  const float squares = sum_row(n, [=](Vec acc, int64_t i, int count) {
    const Vec v = keep_lanes(load_some(x + i, count) - m, count);
    return fma(v, v, acc);
  });
  const float rstd = reciprocal_root(mean_of(squares, n) + eps);
  const Vec r = set1(rstd);
  for_lanes(n, [=](int64_t i, int count) {
    const Vec hat = (load_some(x + i, count) - m) * r;
    const Vec scaled = weight == nullptr ? hat : hat * load_some(weight + i, count);
    store_some(y + i, bias == nullptr ? scaled : scaled + load_some(bias + i, count), count);
  });
  return {mean, rstd};
}

// dx = rstd (g - mean(g) - xhat mean(g xhat)) with g = dy weight.
void layer_row_grad(const float* x, const float* weight, RowMoments moments, const float* dy,
                    float* dx, int64_t n) {
  const Vec m = set1(moments.mean), r = set1(moments.rstd);
  const float total = sum_row(n, [=](Vec acc, int64_t i, int count) {
    return fma(load_some(dy + i, count), or_one(weight, i, count), acc);
  });
  const float dot = sum_row(n, [=](Vec acc, int64_t i, int count) {
    const Vec g = load_some(dy + i, count) * or_one(weight, i, count);
    return fma(g, (load_some(x + i, count) - m) * r, acc);
  });
  const Vec shift = set1(mean_of(total, n)), shrink = set1(mean_of(dot, n));
  for_lanes(n, [=](int64_t i, int count) {
    const Vec g = load_some(dy + i, count) * or_one(weight, i, count);
    const Vec hat = (load_some(x + i, count) - m) * r;
    store_some(dx + i, r * fnma(hat, shrink, g - shift), count);
  });
}

void weight_grad(const float* x, RowMoments moments, const float* dy, float* dweight, float* dbias,
                 int64_t n) {
  const Vec m = set1(moments.mean), r = set1(moments.rstd);
  for_lanes(n, [=](int64_t i, int count) {
    const Vec hat = (load_some(x + i, count) - m) * r;
    const Vec g = load_some(dy + i, count);
    store_some(dweight + i, fma(g, hat, load_some(dweight + i, count)), count);
    if (dbias != nullptr) store_some(dbias + i, g + load_some(dbias + i, count), count);
  });
}

}  // namespace

extern const NormTable norm_table;
const NormTable norm_table = {rms_row,   add_rms_row,    rms_row_grad,
                              layer_row, layer_row_grad, weight_grad};

}  // namespace yiti::cpu::YITI_ISA
