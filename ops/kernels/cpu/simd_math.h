// Elementary functions on Vec beyond exp. Polynomials are least-squares fits on Chebyshev nodes.
// Only for *.isa.cpp.
#pragma once

#include "ops/kernels/cpu/simd.h"

namespace yiti::cpu::YITI_ISA {

/// y where x is a number, x where it is NaN.
inline Vec keep_nan(Vec x, Vec y) { return select_less(set1(-__builtin_inff()), abs(x), y, x); }

/// Within 2 ulp: x + x^3 P(x^2) below 0.625, else by exp.
inline Vec tanh(Vec x) {
  const Vec size = abs(x), z = x * x;
  Vec p = set1(-0.006047751754522324f);
  p = fma(p, z, set1(0.020962830632925034f));
  p = fma(p, z, set1(-0.05384337902069092f));
  p = fma(p, z, set1(0.13332714140415192f));
  p = fma(p, z, set1(-0.333333283662796f));
  const Vec small = fma(p * z, x, x);
  const Vec one = set1(1.0f);
  const Vec tail = one - set1(2.0f) / (exp(size + size) + one);
  const Vec large = select_less(x, zero(), zero() - tail, tail);
  return keep_nan(x, select_less(size, set1(0.625f), small, large));
}

/// Absolute error below 1.2e-7: x P(x^2) below 1, else 1 - exp(Q(x) - x^2), and 1 from 4 on.
inline Vec erf(Vec x) {
  const Vec size = abs(x), z = x * x;
  Vec p = set1(7.882147474447265e-05f);
  p = fma(p, z, set1(-0.000801874150056392f));
  p = fma(p, z, set1(0.005189297720789909f));
  p = fma(p, z, set1(-0.026854319497942924f));
  p = fma(p, z, set1(0.11283597350120544f));
  p = fma(p, z, set1(-0.3761262595653534f));
  p = fma(p, z, set1(1.1283791065216064f));
  const Vec t = min(size, set1(4.0f));
  Vec q = set1(1.6140616025950294e-06f);
  q = fma(q, t, set1(-4.559062290354632e-05f));
  q = fma(q, t, set1(0.0005927695310674608f));
  q = fma(q, t, set1(-0.004740222357213497f));
  q = fma(q, t, set1(0.02636471763253212f));
  q = fma(q, t, set1(-0.10997824370861053f));
  q = fma(q, t, set1(0.36806291341781616f));
  q = fma(q, t, set1(-1.1301666498184204f));
  q = fma(q, t, set1(0.0003032129898201674f));
  const Vec tail = set1(1.0f) - exp(fnma(t, t, q));
  const Vec large = select_less(x, zero(), zero() - tail, tail);
  return keep_nan(x, select_less(size, set1(1.0f), x * p, large));
}

}  // namespace yiti::cpu::YITI_ISA
