// Elements are independent, so a range may be cut anywhere. Multiplications and additions are
// rounded one by one, in the order in which torch.optim writes them.
#include "ops/kernels/cpu/optim.h"

#include "ops/kernels/cpu/simd.h"

namespace yiti::cpu::YITI_ISA {
namespace {

void adamw(float* param, const float* grad, float* m, float* v, int64_t n, const AdamwScalars& s) {
  const Vec scale = set1(s.grad_scale), decay = set1(s.decay), mix1 = set1(s.mix1);
  const Vec beta2 = set1(s.beta2), mix2 = set1(s.mix2), root = set1(s.root_correction2);
  const Vec eps = set1(s.eps), step = set1(-s.step_size);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int lanes = static_cast<int>(n - i < kLanes ? n - i : kLanes);
    const Vec g = load_n(grad + i, lanes) * scale;
    const Vec m0 = load_n(m + i, lanes);
    const Vec m1 = m0 + mix1 * (g - m0);
    const Vec v1 = load_n(v + i, lanes) * beta2 + mix2 * g * g;
    const Vec denominator = sqrt(v1) / root + eps;
    store_n(param + i, load_n(param + i, lanes) * decay + step * m1 / denominator, lanes);
    store_n(m + i, m1, lanes);
    store_n(v + i, v1, lanes);
  }
}

void sgd(float* param, const float* grad, float* momentum, int64_t n, const SgdScalars& s) {
  const Vec scale = set1(s.grad_scale), decay = set1(s.weight_decay), keep = set1(s.momentum);
  const Vec step = set1(-s.lr);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int lanes = static_cast<int>(n - i < kLanes ? n - i : kLanes);
    const Vec p = load_n(param + i, lanes);
    Vec g = load_n(grad + i, lanes) * scale + decay * p;
    if (momentum != nullptr) {
      const Vec buffer = load_n(momentum + i, lanes) * keep + g;
      store_n(momentum + i, buffer, lanes);
      g = s.nesterov ? g + keep * buffer : buffer;
    }
    store_n(param + i, p + step * g, lanes);
  }
}

}  // namespace

extern const OptimTable optim_table;
const OptimTable optim_table = {adamw, sgd};

}  // namespace yiti::cpu::YITI_ISA
