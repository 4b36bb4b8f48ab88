// The natural logarithm of one number. Only for *.isa.cpp.
#pragma once

#include "ops/kernels/cpu/simd.h"

namespace yiti::cpu::YITI_ISA {

/// ln(x) in double, within 1e-15 of its size, for positive finite x; x itself for +inf and NaN,
/// -inf for 0. By plain IEEE operations, so every machine gives the same bits: x = m 2^e with m in
/// [sqrt(1/2), sqrt(2)), ln(m) = 2 atanh((m - 1) / (m + 1)).
inline double log_of(double x) {
  if (x == 0) return -__builtin_inf();
  if (!(x < __builtin_inf())) return x;
  const uint64_t bits = __builtin_bit_cast(uint64_t, x);
  // Moves the cut between exponents from 1 to sqrt(1/2).
  const uint64_t shifted = bits + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
  const int64_t exponent = static_cast<int64_t>(shifted >> 52) - 1023;
  const double m = __builtin_bit_cast(double, bits - (static_cast<uint64_t>(exponent) << 52));
  const double s = (m - 1) / (m + 1), z = s * s;
  double series = 0;
  for (int k = 23; k >= 3; k -= 2) series = (series + 1.0 / k) * z;
  return static_cast<double>(exponent) * 0.69314718055994530942 + 2 * (s + s * series);
}

}  // namespace yiti::cpu::YITI_ISA
