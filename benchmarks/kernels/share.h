// Rates of a kernel's benchmark, and the share of this machine's limits that they are.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "benchmarks/limits/limits.h"
#include "core/tensor.h"

namespace yiti {

/// What one run of a kernel must do at least.
struct Work {
  double f32_operations = 0;  ///< a multiply-add is two
  double int8_operations = 0;
  double bytes = 0;  ///< that come from memory or go there; none where caches hold them
};

/// The device of all kernel benchmarks. It has one thread: its time does not depend on what else
/// the machine does.
inline const DevicePtr& one_thread() {
  static const DevicePtr device = make_cpu_device({.threads = 1});
  return device;
}

/// Adds GOP/s, GB/s and `share`: the time that the limits allow, of the time taken. Arithmetic and
/// memory may overlap, so the slower of the two is the limit. They are measured when first asked
/// for.
inline void report(benchmark::State& state, const Work& work) {
  static const MachineLimits limits = measure_limits(1);
  const auto rate = [&](const char* name, double amount) {
    if (amount > 0) {
      state.counters[name] =
          benchmark::Counter(amount, benchmark::Counter::kIsIterationInvariantRate);
    }
  };
  rate("GOP/s", 1e-9 * (work.f32_operations + work.int8_operations));
  rate("GB/s", 1e-9 * work.bytes);
  if (limits.f32_gflops > 0) {
    const double arithmetic = 1e-9 * work.f32_operations / limits.f32_gflops +
                              1e-9 * work.int8_operations / limits.int8_gops;
    rate("share", std::max(arithmetic, 1e-9 * work.bytes / limits.read_gb_per_s));
  }
}

/// Floats between -1 and 1 that no kernel can take a short cut for.
inline Tensor noise(const Shape& shape) {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
  return Tensor::from(values, shape, one_thread());
}

}  // namespace yiti
