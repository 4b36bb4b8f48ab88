#include "ops/kernels/cpu/rope.h"

#include "ops/kernels/cpu/row_sum.h"

namespace yiti::cpu::YITI_ISA {
namespace {

void head(const float* x, const float* cos, const float* sin, float sign, int64_t pairs, int64_t n,
          float* y) {
  const Vec direction = set1(sign);
  for_lanes(pairs, [=](int64_t i, int count) {
    const Vec c = load_some(cos + i, count), s = load_some(sin + i, count) * direction;
    const Vec a = load_some(x + i, count), b = load_some(x + pairs + i, count);
    store_some(y + i, fnma(b, s, a * c), count);
    store_some(y + pairs + i, fma(a, s, b * c), count);
  });
  for (int64_t i = 2 * pairs; i < n; ++i) y[i] = x[i];
}

}  // namespace

extern const RopeTable rope_table;
const RopeTable rope_table = {head};

}  // namespace yiti::cpu::YITI_ISA
