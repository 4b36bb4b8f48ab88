// One pass: all inputs are read once and all results written once.
#include "ops/kernels/cpu/swiglu.h"

#include "ops/kernels/cpu/row_sum.h"

namespace yiti::cpu::YITI_ISA {
namespace {

void row(const float* gate, const float* up, float* y, int64_t n) {
  for_lanes(n, [=](int64_t i, int count) {
    const Vec g = load_some(gate + i, count);
    store_some(y + i, g * sigmoid(g) * load_some(up + i, count), count);
  });
}

// silu'(g) = s (1 + g (1 - s)) with s = sigmoid(g).
void row_grad(const float* gate, const float* up, const float* dy, float* dgate, float* dup,
              int64_t n) {
  const Vec one = set1(1.0f);
  for_lanes(n, [=](int64_t i, int count) {
    const Vec g = load_some(gate + i, count), d = load_some(dy + i, count);
    const Vec s = sigmoid(g);
    store_some(dup + i, d * (g * s), count);
    const Vec slope = s * fma(g, one - s, one);
    store_some(dgate + i, d * load_some(up + i, count) * slope, count);
  });
}

}  // namespace

extern const SwigluTable swiglu_table;
const SwigluTable swiglu_table = {row, row_grad};

}  // namespace yiti::cpu::YITI_ISA
