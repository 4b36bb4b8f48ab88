#include "ops/linear/linear_reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "ops/host_values.h"
#include "ops/linear/gemm.h"
#include "ops/linear/linear.h"
#include "ops/linear/panels.h"

namespace yiti {
namespace {

std::vector<double> weight_doubles(const Tensor& weight) {
  return to_doubles(is_quantised(weight.dtype()) ? dequantise(weight) : weight);
}

// Each block of 32 as the kernels round it: in float, to the nearest multiple of amax / 127.
void round_to_codes(std::vector<double>& x) {
  for (size_t block = 0; block + 32 <= x.size(); block += 32) {
    float top = 0;
    for (size_t k = 0; k < 32; ++k) {
      top = std::max(top, std::fabs(static_cast<float>(x[block + k])));
    }
    for (size_t k = 0; k < 32; ++k) {
      const float code = std::nearbyint(static_cast<float>(x[block + k]) * (127.0f / top));
      x[block + k] = top == 0 ? 0 : static_cast<double>(top / 127.0f) * static_cast<double>(code);
    }
  }
}

void round_to_bf16(std::vector<double>& x) {
  for (double& value : x) value = to_float(to_bfloat16(static_cast<float>(value)));
}

void round_activations(std::vector<double>& x, DType weight, bool exact_activations) {
  if (!rounds_activations(weight, exact_activations)) return;
  if (is_quantised(weight)) {
    round_to_codes(x);
  } else {
    round_to_bf16(x);
  }
}

// c [m, n] += sum over k of a(m, k) * b(k, n)
template <class A, class B>
std::vector<double> product(int64_t m, int64_t n, int64_t k, A a, B b) {
  std::vector<double> c(static_cast<size_t>(m * n), 0.0);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double& sum = c[static_cast<size_t>(i * n + j)];
      for (int64_t p = 0; p < k; ++p) {
        sum += a[static_cast<size_t>(a.at(i, p))] * b[static_cast<size_t>(b.at(p, j))];
      }
    }
  }
  return c;
}

// A row-major matrix, or one seen transposed.
struct Plain {
  const std::vector<double>& values;
  int64_t row, column;
  int64_t at(int64_t i, int64_t j) const { return i * row + j * column; }
  double operator[](size_t i) const { return values[i]; }
};

Shape with_last(const Tensor& x, int64_t size) {
  Shape shape = x.shape();
  shape.set(-1, size);
  return shape;
}

}  // namespace

std::vector<Tensor> linear_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const Tensor &x = in[0], &weight = in[1];
  const int64_t n = weight.dim(0), k = weight.dim(1), m = row_count(x);
  std::vector<double> values = to_doubles(x);
  if (x.dtype() == DType::kF32) {
    round_activations(values, weight.dtype(), attrs.as<LinearAttrs>().exact_activations);
  }
  const std::vector<double> w = weight_doubles(weight);
  std::vector<double> y = product(m, n, k, Plain{values, k, 1}, Plain{w, 1, k});
  if (in[2].defined()) {
    const std::vector<double> bias = to_doubles(in[2]);
    for (size_t i = 0; i < y.size(); ++i) y[i] += bias[i % bias.size()];
  }
  return {of_doubles(y, with_last(x, n), x.dtype(), x.device())};
}

std::vector<Tensor> linear_backward_input_reference(std::span<const Tensor> in,
                                                    const Attrs& attrs) {
  const Tensor &dy = in[0], &weight = in[1];
  const int64_t n = weight.dim(0), k = weight.dim(1);
  std::vector<double> g = to_doubles(dy), w = weight_doubles(weight);
  if (dy.dtype() == DType::kF32 &&
      rounds_activations(weight.dtype(), attrs.as<LinearAttrs>().exact_activations)) {
    round_to_bf16(g);
    round_to_bf16(w);
  }
  const auto dx = product(row_count(dy), k, n, Plain{g, n, 1}, Plain{w, k, 1});
  return {of_doubles(dx, with_last(dy, k), dy.dtype(), dy.device())};
}

std::vector<Tensor> linear_backward_weight_reference(std::span<const Tensor> in, const Attrs&) {
  const Tensor &dy = in[0], &x = in[1];
  const int64_t n = dy.dim(-1), k = x.dim(-1);
  const std::vector<double> g = to_doubles(dy), values = to_doubles(x);
  const auto dw = product(n, k, row_count(dy), Plain{g, 1, n}, Plain{values, k, 1});
  return {of_doubles(dw, {n, k}, dy.dtype(), dy.device())};
}

Tensor random_quantised(DType dtype, int64_t rows, int64_t columns, uint64_t seed,
                        const DevicePtr& device) {
  const DTypeInfo& type = info(dtype);
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(byte_size({rows, columns}, dtype));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 255);
  const size_t halves = dtype == DType::kQ4_1 ? 2 : 1;
  for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(type.block_bytes)) {
    for (size_t i = 0; i < halves; ++i) {
      const float size = 0.01f + static_cast<float>(random() % 1024) * 1e-5f;
      const Half half = to_half(i == 0 ? size : -8 * size);
      std::memcpy(bytes.data() + at + 2 * i, &half, 2);
    }
  }
  return Tensor::from_bytes(bytes, {rows, columns}, dtype, device);
}

namespace {

Tensor normal_values(const Shape& shape, DType dtype, uint64_t seed, const DevicePtr& device) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> x(static_cast<size_t>(shape.numel()));
  for (double& value : x) value = normal(random);
  return of_doubles(x, shape, dtype, device);
}

// A weight of 19 rows and four leaves.
Tensor rounding_weight(DType dtype, bool panels, const DevicePtr& device) {
  if (!is_quantised(dtype)) return normal_values({19, 544}, dtype, 11, device);
  const Tensor rows = random_quantised(dtype, 19, 544, 11, device);
  return panels ? pack_panels(rows) : rows;
}

}  // namespace

Sample rounding_linear_sample(DType dtype, bool panels) {
  Sample sample;
  sample.attrs = LinearAttrs{};
  sample.make = [=](DType floats, const DevicePtr& device) {
    return std::vector<Tensor>{normal_values({5, 544}, floats, 7, device),
                               rounding_weight(dtype, panels, device), Tensor()};
  };
  return sample;
}

Sample rounding_gradient_sample(DType dtype, bool panels) {
  Sample sample;
  sample.attrs = LinearAttrs{};
  sample.make = [=](DType floats, const DevicePtr& device) {
    return std::vector<Tensor>{normal_values({5, 19}, floats, 7, device),
                               rounding_weight(dtype, panels, device)};
  };
  return sample;
}

}  // namespace yiti
