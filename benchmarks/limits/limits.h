// What this machine can do at most, measured: what shares in benchmarks are shares of.
#pragma once

namespace yiti {

/// Rates on all of `threads` at once, each the best of several runs. Arithmetic runs in registers
/// alone and counts a multiply-add as two operations; reading sums a buffer that no cache holds.
struct MachineLimits {
  int threads = 0;
  double f32_gflops = 0;
  double bf16_gflops = 0;  ///< by BF16 instructions; 0 where there are none
  /// Unsigned with signed bytes: VNNI's products where there are any, else AVX2's, whose sums fit
  /// 16 bits.
  double int8_gops = 0;
  double read_gb_per_s = 0;
};

/// Takes about three seconds. All rates are 0 on a processor without AVX2.
MachineLimits measure_limits(int threads);

}  // namespace yiti
