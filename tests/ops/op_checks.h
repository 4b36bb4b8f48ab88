// What the tests of single ops share.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/op.h"
#include "ops/host_values.h"

namespace yiti {

/// Numbers in (-1, 1) of a fixed linear congruential sequence.
inline std::vector<double> noise(int64_t count, uint64_t seed) {
  std::vector<double> values(static_cast<size_t>(count));
  uint64_t state = seed * 2862933555777941757u + 3037000493u;
  for (double& value : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = static_cast<double>(state >> 11) * 0x1p-52 - 1;
  }
  return values;
}

inline Tensor noise_tensor(const Shape& shape, uint64_t seed, DType dtype,
                           const DevicePtr& device) {
  return of_doubles(noise(shape.numel(), seed), shape, dtype, device);
}

/// The largest absolute difference, relative to the largest magnitude of `wanted`.
inline double relative_error(const Tensor& got, const Tensor& wanted) {
  const std::vector<double> a = to_doubles(got), b = to_doubles(wanted);
  EXPECT_EQ(got.shape(), wanted.shape());
  double worst = 0, largest = 1e-30;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (std::isnan(a[i]) != std::isnan(b[i])) return INFINITY;
    worst = std::max(worst, std::fabs(a[i] - b[i]));
    largest = std::max(largest, std::fabs(b[i]));
  }
  return worst / largest;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) return false;
  std::vector<std::byte> x(a.bytes()), y(b.bytes());
  a.copy_to_host(x);
  b.copy_to_host(y);
  return x == y;
}

/// Devices of every instruction set that this machine runs.
inline std::vector<DevicePtr> devices_of_all_isas(int threads) {
  std::vector<DevicePtr> devices;
  for (Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (is_supported(isa)) devices.push_back(make_cpu_device({.threads = threads}, isa));
  }
  return devices;
}

/// A sample's inputs, filled with noise where it does not make them itself.
inline std::vector<Tensor> sample_inputs(const Op& op, const Sample& sample, DType floats,
                                         const DevicePtr& device) {
  if (sample.make) return sample.make(floats, device);
  std::vector<Tensor> in;
  for (size_t i = 0; i < sample.shapes.size(); ++i) {
    const auto& shape = sample.shapes[i];
    if (!shape) {
      in.emplace_back();
    } else if (op.inputs[i].kind == Kind::kIndex) {
      std::vector<double> index = noise(shape->numel(), i);
      for (double& x : index) x = std::floor((x + 1) / 2 * static_cast<double>(sample.index_limit));
      in.push_back(of_doubles(index, *shape, DType::kI64, device));
    } else {
      in.push_back(noise_tensor(*shape, i + 17, floats, device));
    }
  }
  return in;
}

/// Runs the first f32 kernel of `op` on each instruction set against the reference, within its
/// accuracy.
inline void expect_kernels_match_reference(const Op& op) {
  for (const DevicePtr& device : devices_of_all_isas(2)) {
    for (const Sample& sample : op.samples) {
      const Attrs& attrs = sample.attrs.str().empty() ? op.default_attrs : sample.attrs;
      // Made twice: an op may update its inputs.
      const std::vector<Tensor> in = sample_inputs(op, sample, DType::kF32, device);
      const std::vector<Tensor> wanted =
          op.reference(sample_inputs(op, sample, DType::kF32, device), attrs);
      std::vector<Tensor> got;
      for (const Tensor& meta : op.infer(in, attrs)) {
        const int alias = op.outputs[got.size()].alias;
        got.push_back(alias >= 0 ? in[static_cast<size_t>(alias)]
                                 : Tensor::empty(meta.shape(), meta.dtype(), device));
      }
      ASSERT_NE(op.choose_kernel(in, attrs, *device), nullptr) << op.name;
      op.run_into(in, attrs, got);
      const double bound =
          op.accuracy.ulps * 0x1p-23 * std::sqrt(static_cast<double>(op.accuracy.reduced));
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_LE(relative_error(got[i], wanted[i]), bound)
            << op.name << " output " << op.outputs[i].name << " on " << name(device->isa());
      }
    }
  }
}

/// Compares op.gradient in f64 with central differences of the reference's first output, for the
/// inputs listed.
inline void expect_gradient_matches_differences(const Op& op, std::vector<Tensor> in,
                                                const Attrs& attrs, std::vector<size_t> wanted) {
  const std::vector<Tensor> out = op.reference(in, attrs);
  const Tensor dy = noise_tensor(out[0].shape(), 99, DType::kF64, in[0].device());
  std::vector<Tensor> grad_out(out.size());
  grad_out[0] = dy;
  std::vector<bool> flags(in.size(), false);
  for (size_t i : wanted) flags[i] = true;
  const std::vector<Tensor> grads = op.gradient({in, out, grad_out, attrs, flags});
  const std::vector<double> weights = to_doubles(dy);
  const auto objective = [&](const std::vector<Tensor>& at) {
    const std::vector<double> y = to_doubles(op.reference(at, attrs)[0]);
    double total = 0;
    for (size_t i = 0; i < y.size(); ++i) total += y[i] * weights[i];
    return total;
  };
  for (size_t which : wanted) {
    std::vector<double> x = to_doubles(in[which]);
    const std::vector<double> grad = to_doubles(grads[which]);
    ASSERT_EQ(grad.size(), x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      constexpr double kStep = 1e-6;
      const double before = x[i];
      std::vector<Tensor> moved = in;
      double change = 0;
      for (double sign : {1.0, -1.0}) {
        x[i] = before + sign * kStep;
        moved[which] = of_doubles(x, in[which].shape(), DType::kF64, in[which].device());
        change += sign * objective(moved);
      }
      x[i] = before;
      EXPECT_NEAR(grad[i], change / (2 * kStep), 1e-5 + 1e-3 * std::fabs(grad[i]))
          << op.name << " input " << which << " element " << i;
    }
  }
}

}  // namespace yiti
