// Rows shared out as the CUDA plug-in does, on the emulator: RMS norm by its own kernel, and the
// shared kernels of losses with wider groups.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/devices/cuda/opencl_c.h"
// The emulator comes first.
namespace yiti::emulated {
#define GROUP 256
#include "devices/kernels/common.cl"
#include "devices/kernels/elements.cl"
#define LABEL int
#include "devices/kernels/losses.cl"
}  // namespace yiti::emulated
namespace yiti::emulated::in_vectors {
#define PARTS 2
#define VECTORS true
#include "devices/cuda/kernels/wide_norms.cuh"
#undef VECTORS
}  // namespace yiti::emulated::in_vectors
namespace yiti::emulated::in_elements {
#define VECTORS false
#include "devices/cuda/kernels/wide_norms.cuh"
}  // namespace yiti::emulated::in_elements

namespace yiti::emulated {
namespace {

constexpr int64_t kRows = 3;

struct Norm {
  std::vector<float> sum, y, rstd;
  bool operator==(const Norm&) const = default;
};

std::vector<float> wave(size_t count, double phase) {
  std::vector<float> x(count);
  for (size_t i = 0; i < count; ++i) {
    x[i] = static_cast<float>(std::sin(phase + 1.7 * static_cast<double>(i)));
  }
  return x;
}

Norm norm(int64_t width, bool adds, bool in_vectors, int64_t first, unsigned rows) {
  const auto count = static_cast<size_t>(kRows * width);
  const std::vector<float> x = wave(count, 0), other = wave(count, 1);
  const std::vector<float> weight = wave(static_cast<size_t>(width), 2);
  Norm out{std::vector<float>(count), std::vector<float>(count), std::vector<float>(kRows)};
  run({rows}, {256}, [&] {
    const auto kernel = in_vectors ? in_vectors::wide_rms_norm : in_elements::wide_rms_norm;
    kernel(x.data(), first * width, other.data(), first * width, weight.data(), 0, out.sum.data(),
           first * width, out.y.data(), first * width, out.rstd.data(), first, 1e-5f, adds ? 1 : 0,
           1, width);
  });
  return out;
}

TEST(CudaWideNorms, DivideByTheRootOfTheMeanSquare) {
  for (const bool adds : {false, true}) {
    const int64_t width = 1100;
    const Norm out = norm(width, adds, true, 0, kRows);
    const std::vector<float> x = wave(out.y.size(), 0), other = wave(out.y.size(), 1);
    const std::vector<float> weight = wave(static_cast<size_t>(width), 2);
    for (size_t row = 0; row < kRows; ++row) {
      const auto value = [&](size_t i) { return adds ? x[i] + other[i] : x[i]; };
      const size_t begin = row * static_cast<size_t>(width);
      double squares = 0;
      for (size_t i = 0; i < weight.size(); ++i) {
        squares += static_cast<double>(value(begin + i)) * value(begin + i);
      }
      const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + 1e-5);
      EXPECT_NEAR(out.rstd[row], scale, 1e-6);
      for (size_t i = 0; i < weight.size(); ++i) {
        ASSERT_NEAR(out.y[begin + i], value(begin + i) * scale * weight[i], 1e-6);
        ASSERT_EQ(out.sum[begin + i], adds ? value(begin + i) : 0);
      }
    }
  }
}

TEST(CudaWideNorms, HaveTheSameBitsForARowAloneAndWhereverItLies) {
  for (const int64_t width : {8, 1030}) {
    const bool has_vectors = width % 4 == 0;
    const Norm whole = norm(width, true, has_vectors, 0, kRows);
    EXPECT_EQ(norm(width, true, false, 0, kRows), whole);
    const Norm one = norm(width, true, false, 1, 1);
    for (int64_t i = width; i < 2 * width; ++i) {
      ASSERT_EQ(one.y[static_cast<size_t>(i)], whole.y[static_cast<size_t>(i)]);
    }
    EXPECT_EQ(one.rstd[1], whole.rstd[1]);
  }
}

TEST(CudaWideRows, GiveLossesAndSlopes) {
  constexpr int64_t kClasses = 700;
  const std::vector<float> logits = wave(3 * kClasses, 0.3);
  const std::vector<int> labels = {5, -100, 699};
  std::vector<float> loss(3), lse(3), slopes(logits.size());
  int fault = 0;
  run({3}, {GROUP}, [&] {
    cross_entropy(logits.data(), 0, labels.data(), 0, loss.data(), 0, lse.data(), 0, 1, 0, kClasses,
                  &fault, 1);
  });
  run({3}, {GROUP}, [&] {
    cross_entropy_backward(logits.data(), 0, labels.data(), 0, lse.data(), 0, nullptr, 0, 0,
                           slopes.data(), 0, 0, kClasses, &fault, 1);
  });
  EXPECT_EQ(fault, 0);
  EXPECT_EQ(loss[1], 0);
  for (const size_t row : {0u, 2u}) {
    const float* x = &logits[row * kClasses];
    double total = 0;
    for (int64_t i = 0; i < kClasses; ++i) total += std::exp(static_cast<double>(x[i]));
    EXPECT_NEAR(loss[row], std::log(total) - x[labels[row]], 1e-5);
    for (int64_t i = 0; i < kClasses; ++i) {
      const double slope = std::exp(static_cast<double>(x[i])) / total - (i == labels[row] ? 1 : 0);
      ASSERT_NEAR(slopes[row * kClasses + static_cast<size_t>(i)], slope, 1e-6);
    }
  }
}

}  // namespace
}  // namespace yiti::emulated
