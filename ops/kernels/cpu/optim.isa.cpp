// Elements are independent, so a range may be cut anywhere. Multiplications and additions are
// rounded one by one, in the order in which torch.optim writes them.
#include "ops/kernels/cpu/optim.h"

#include "ops/kernels/cpu/simd.h"

namespace yiti::cpu::YITI_ISA {
namespace {

// Whole vectors, or the last few elements: masked stores are slow on some processors.
struct Whole {
  Vec get(const float* p) const { return load(p); }
  void put(float* p, Vec x) const { store(p, x); }
};
struct Part {
  int count;
  Vec get(const float* p) const { return load_n(p, count); }
  void put(float* p, Vec x) const { store_n(p, x, count); }
};

// Calls f(i, Whole or Part) for the vectors of n elements.
template <class F>
void for_each_vector(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, Whole{});
  if (i < n) f(i, Part{static_cast<int>(n - i)});
}

void adamw(float* param, const float* grad, float* m, float* v, int64_t n, const AdamwScalars& s) {
  const Vec scale = set1(s.grad_scale), decay = set1(s.decay), mix1 = set1(s.mix1);
  const Vec beta2 = set1(s.beta2), mix2 = set1(s.mix2), root = set1(s.root_correction2);
  const Vec eps = set1(s.eps), step = set1(-s.step_size);
  for_each_vector(n, [&](int64_t i, auto lanes) {
    const Vec g = lanes.get(grad + i) * scale;
    const Vec m0 = lanes.get(m + i);
    const Vec m1 = m0 + mix1 * (g - m0);
    const Vec v1 = lanes.get(v + i) * beta2 + mix2 * g * g;
    const Vec denominator = sqrt(v1) / root + eps;
    lanes.put(param + i, lanes.get(param + i) * decay + step * m1 / denominator);
    lanes.put(m + i, m1);
    lanes.put(v + i, v1);
  });
}

void sgd(float* param, const float* grad, float* momentum, int64_t n, const SgdScalars& s) {
  const Vec scale = set1(s.grad_scale), decay = set1(s.weight_decay), keep = set1(s.momentum);
  const Vec step = set1(-s.lr);
  for_each_vector(n, [&](int64_t i, auto lanes) {
    const Vec p = lanes.get(param + i);
    Vec g = lanes.get(grad + i) * scale + decay * p;
    if (momentum != nullptr) {
      const Vec buffer = lanes.get(momentum + i) * keep + g;
      lanes.put(momentum + i, buffer);
      g = s.nesterov ? g + keep * buffer : buffer;
    }
    lanes.put(param + i, p + step * g);
  });
}

}  // namespace

extern const OptimTable optim_table;
const OptimTable optim_table = {adamw, sgd};

}  // namespace yiti::cpu::YITI_ISA
