// One pass over rows of f32: each lane is computed alone, so a row may be cut anywhere.
#include "ops/kernels/cpu/elementwise.h"

#include "ops/kernels/cpu/simd_math.h"

namespace yiti::cpu::YITI_ISA {
namespace {

struct Add {
  static Vec of(Vec a, Vec b) { return a + b; }
};
struct Sub {
  static Vec of(Vec a, Vec b) { return a - b; }
};
struct Mul {
  static Vec of(Vec a, Vec b) { return a * b; }
};
struct Div {
  static Vec of(Vec a, Vec b) { return a / b; }
};
struct Maximum {
  static Vec of(Vec a, Vec b) { return keep_nan(a, max(a, b)); }
};
struct Minimum {
  static Vec of(Vec a, Vec b) { return keep_nan(a, min(a, b)); }
};
// Of the slope and what it is the slope at: a is dy; b is relu's y, or gelu's x.
struct ReluBackward {
  static Vec of(Vec a, Vec b) { return select_less(zero(), b, a, zero()); }
};
struct GeluBackward {
  static Vec of(Vec a, Vec b) {
    const Vec phi = fma(erf(b * set1(0.70710678118654752f)), set1(0.5f), set1(0.5f));
    const Vec density = set1(0.39894228040143268f) * exp(b * b * set1(-0.5f));
    return a * fma(b, density, phi);
  }
};

template <class F>
void binary_row(const float* a, int64_t a_step, const float* b, int64_t b_step, float* y,
                int64_t n) {
  const Vec a0 = set1(n > 0 ? a[0] : 0.0f), b0 = set1(n > 0 ? b[0] : 0.0f);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    store(y + i, F::of(a_step != 0 ? load(a + i) : a0, b_step != 0 ? load(b + i) : b0));
  }
  if (i == n) return;
  const int rest = static_cast<int>(n - i);
  store_n(y + i,
          F::of(a_step != 0 ? load_n(a + i, rest) : a0, b_step != 0 ? load_n(b + i, rest) : b0),
          rest);
}

struct Neg {
  static Vec of(Vec x, Vec, Vec) { return set1(-0.0f) - x; }
};
struct Exp {
  static Vec of(Vec x, Vec, Vec) { return exp(x); }
};
struct Sqrt {
  static Vec of(Vec x, Vec, Vec) { return sqrt(x); }
};
struct Rsqrt {
  static Vec of(Vec x, Vec, Vec) { return set1(1.0f) / sqrt(x); }
};
struct Square {
  static Vec of(Vec x, Vec, Vec) { return x * x; }
};
struct Abs {
  static Vec of(Vec x, Vec, Vec) { return abs(x); }
};
struct Tanh {
  static Vec of(Vec x, Vec, Vec) { return tanh(x); }
};
struct Sigmoid {
  static Vec of(Vec x, Vec, Vec) { return sigmoid(x); }
};
struct Relu {
  static Vec of(Vec x, Vec, Vec) { return max(zero(), x); }
};
struct Silu {
  static Vec of(Vec x, Vec, Vec) { return x * sigmoid(x); }
};
struct Gelu {
  static Vec of(Vec x, Vec, Vec) {
    return set1(0.5f) * x * (set1(1.0f) + erf(x * set1(0.70710678118654752f)));
  }
};
struct GeluTanh {
  static Vec of(Vec x, Vec, Vec) {
    const Vec inner = set1(0.79788456080286536f) * fma(set1(0.044715f) * x * x, x, x);
    return set1(0.5f) * x * (set1(1.0f) + tanh(inner));
  }
};
struct Scale {
  static Vec of(Vec x, Vec p, Vec q) { return fma(x, p, q); }
};
struct Clamp {
  static Vec of(Vec x, Vec p, Vec q) { return min(q, max(p, x)); }
};

template <class F>
void unary_row(const float* x, float* y, int64_t n, float p, float q) {
  const Vec pv = set1(p), qv = set1(q);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, F::of(load(x + i), pv, qv));
  if (i == n) return;
  const int rest = static_cast<int>(n - i);
  store_n(y + i, F::of(load_n(x + i, rest), pv, qv), rest);
}

void half_to_float(const uint16_t* x, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, load_half(x + i));
  if (i == n) return;
  uint16_t rest[kLanes] = {};
  for (int64_t j = i; j < n; ++j) rest[j - i] = x[j];
  store_n(y + i, load_half(rest), static_cast<int>(n - i));
}

void float_to_half(const float* x, uint16_t* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store_half(y + i, load(x + i));
  if (i == n) return;
  uint16_t rest[kLanes];
  store_half(rest, load_n(x + i, static_cast<int>(n - i)));
  for (int64_t j = i; j < n; ++j) y[j] = rest[j - i];
}

// Plain integer loops: the compiler vectorises them.
void bf16_to_float(const uint16_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    y[i] = __builtin_bit_cast(float, static_cast<uint32_t>(x[i]) << 16);
  }
}

void float_to_bf16(const float* x, uint16_t* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = to_bf16(x[i]);
}

}  // namespace

extern const ElementwiseTable elementwise_table;
const ElementwiseTable elementwise_table = {
    {binary_row<Add>, binary_row<Sub>, binary_row<Mul>, binary_row<Div>, binary_row<Maximum>,
     binary_row<Minimum>, binary_row<ReluBackward>, binary_row<GeluBackward>},
    {unary_row<Neg>, unary_row<Exp>, unary_row<Sqrt>, unary_row<Rsqrt>, unary_row<Square>,
     unary_row<Abs>, unary_row<Tanh>, unary_row<Sigmoid>, unary_row<Relu>, unary_row<Silu>,
     unary_row<Gelu>, unary_row<GeluTanh>, unary_row<Scale>, unary_row<Clamp>},
    half_to_float,
    bf16_to_float,
    float_to_half,
    float_to_bf16};

}  // namespace yiti::cpu::YITI_ISA
