// Oracles: plain loops in double precision; for the values of quantised blocks the gguf package for
// Python, through tests/data/io/ggml_blocks.safetensors.
#include "ops/linear/linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/io/safetensors.h"
#include "ops/elementwise/binary.h"
#include "ops/fused/linear_add.h"
#include "ops/linear/dequantise.h"
#include "ops/linear/embedding.h"
#include "ops/linear/gemm.h"
#include "ops/linear/leaves.h"
#include "ops/linear/linear_reference.h"
#include "ops/linear/matmul.h"
#include "ops/linear/panels.h"
#include "ops/shape/cast.h"
#include "tests/ops/op_checks.h"

namespace yiti {
namespace {

using ::testing::HasSubstr;

constexpr DType kQuantised[] = {DType::kQ4_0, DType::kQ4_1, DType::kQ8_0};

Tensor rows_of(const Tensor& x, int64_t begin, int64_t end) {
  Shape shape = x.shape();
  shape.set(0, end - begin);
  return x.as_strided(shape, x.strides(), begin * x.strides()[0]);
}

Tensor transposed(const Tensor& x) {
  return x.as_strided({x.dim(1), x.dim(0)}, {x.strides()[1], x.strides()[0]}, 0);
}

// The same values with columns adjacent.
Tensor column_major(const Tensor& x) { return transposed(transposed(x).contiguous()); }

Tensor run(const MatrixView& a, const MatrixView& b, const DevicePtr& device,
           const GemmOptions& options = {}) {
  Tensor c = Tensor::full({a.rows, b.cols}, 1, DType::kF32, device);
  gemm(*device, a, b, c.data<float>(), b.cols, options);
  return c;
}

Tensor on(const Tensor& tensor, const DevicePtr& device) {
  std::vector<std::byte> bytes(tensor.bytes());
  tensor.copy_to_host(bytes);
  auto storage = Storage::allocate(device, bytes.size());
  std::copy(bytes.begin(), bytes.end(), storage->data());
  return Tensor::of_storage(storage, 0, tensor.shape(), tensor.dtype(), tensor.layout());
}

TEST(LeafPlan, CoversTheReductionWithWholeUnits) {
  for (int64_t k : {0, 1, 4, 31, 32, 96, 100, 576, 1536, 4097}) {
    for (int64_t unit : {0, 48, 64, 96}) {
      const LeafPlan plan = plan_leaves(k, unit);
      EXPECT_EQ(plan.starts[static_cast<size_t>(plan.count)], k);
      for (int i = 0; i < plan.count; ++i) {
        const auto at = static_cast<size_t>(i);
        EXPECT_LT(plan.starts[at], plan.starts[at + 1]);
        EXPECT_EQ(plan.starts[at] % 32, 0);
        if (unit == 64 && k % 64 == 0) {
          EXPECT_EQ(plan.starts[at] % 64, 0);
        }
      }
    }
  }
  EXPECT_EQ(plan_leaves(1536).count, 8);
  EXPECT_EQ(plan_leaves(576).count, 4);
  EXPECT_EQ(plan_leaves(255).count, 1);
}

TEST(Gemm, FollowsTheDocumentedOrderOfAdditions) {
  const DevicePtr device = make_cpu_device({.threads = 1});
  for (int64_t k : {5, 32, 100, 200, 576, 1500}) {
    const Tensor a = noise_tensor({3, k}, 1, DType::kF32, device);
    const Tensor b = noise_tensor({2, k}, 2, DType::kF32, device);
    const LeafPlan plan = plan_leaves(k);
    std::vector<float> sums;
    for (int i = 0; i < plan.count; ++i) {
      float chain = 0;
      for (int64_t p = plan.starts[static_cast<size_t>(i)];
           p < plan.starts[static_cast<size_t>(i) + 1]; ++p) {
        chain = std::fma(a.data<float>()[2 * k + p], b.data<float>()[k + p], chain);
      }
      sums.push_back(chain);
    }
    while (sums.size() > 1) {
      std::vector<float> next;
      for (size_t i = 0; i < sums.size(); i += 2) {
        next.push_back(i + 1 < sums.size() ? sums[i] + sums[i + 1] : sums[i]);
      }
      sums = next;
    }
    EXPECT_EQ(run(matrix(a), matrix(b).t(), device).to_vector<float>()[5], sums[0]) << k;
  }
}

TEST(Gemm, GivesTheSameBitsForAnyLayoutBatchThreadsAndInstructionSet) {
  const DevicePtr host = make_cpu_device({.threads = 1});
  for (int64_t k : {4, 96, 100, 700, 1300, 2048}) {
    for (int64_t n : {1, 8, 33, 100}) {
      const Tensor a = noise_tensor({53, k}, 3, DType::kF32, host);
      const Tensor b = noise_tensor({n, k}, 4, DType::kF32, host);
      const Tensor wanted = run(matrix(a), matrix(b).t(), host);
      for (int threads : {1, 2, 3}) {
        for (const DevicePtr& device : devices_of_all_isas(threads)) {
          const Tensor x = on(a, device), w = on(b, device);
          const std::string where = fmt::format("{} k={} n={}", name(device->isa()), k, n);
          EXPECT_TRUE(same_bits(run(matrix(x), matrix(w).t(), device), wanted)) << where;
          const Tensor xt = column_major(x), wt = column_major(w);
          EXPECT_TRUE(same_bits(run(matrix(xt), matrix(wt).t(), device), wanted)) << where;
          for (int64_t m : {1, 2, 4, 5, 7, 13}) {
            EXPECT_TRUE(same_bits(run(matrix(rows_of(x, 3, 3 + m)), matrix(w).t(), device),
                                  rows_of(wanted, 3, 3 + m)))
                << where << " m=" << m;
          }
        }
      }
    }
  }
}

TEST(Gemm, ReadsHalfTypesAsTheirFloatValues) {
  for (const DevicePtr& device : devices_of_all_isas(2)) {
    for (DType dtype : {DType::kF16, DType::kBF16}) {
      const Tensor w = noise_tensor({21, 100}, 5, dtype, device);
      const Tensor plain = of_doubles(to_doubles(w), w.shape(), DType::kF32, device);
      const Tensor square = noise_tensor({100, 21}, 5, dtype, device);
      const Tensor plain_square =
          of_doubles(to_doubles(square), square.shape(), DType::kF32, device);
      for (int64_t m : {1, 3, 9}) {
        const Tensor x = noise_tensor({m, 100}, 6, DType::kF32, device);
        EXPECT_TRUE(same_bits(run(matrix(x), matrix(w).t(), device),
                              run(matrix(x), matrix(plain).t(), device)));
        EXPECT_TRUE(same_bits(run(matrix(x), matrix(square), device),
                              run(matrix(x), matrix(plain_square), device)));
      }
    }
  }
}

// A product that rounds its factors has the bits of the product of rounded ones.
TEST(Gemm, RoundsFactorsForAnyLayoutBatchThreadsAndInstructionSet) {
  const DevicePtr host = make_cpu_device({.threads = 1});
  for (int64_t k : {4, 7, 96, 101, 700, 1300, 2048, 8192}) {
    for (int64_t n : {1, 33, 100}) {
      const Tensor a = noise_tensor({53, k}, 3, DType::kF32, host);
      const Tensor b = noise_tensor({n, k}, 4, DType::kF32, host);
      const Tensor short_b = ops::cast(b, DType::kBF16);
      const Tensor short_a = ops::cast(ops::cast(a, DType::kBF16), DType::kF32);
      const Tensor wanted = run(matrix(short_a), matrix(short_b).t(), host);
      for (int threads : {1, 3}) {
        for (const DevicePtr& device : devices_of_all_isas(threads)) {
          const Tensor x = on(a, device), xt = column_major(x), wt = column_major(on(b, device));
          for (const Tensor& w : {on(b, device), on(short_b, device)}) {
            const std::string where =
                fmt::format("{} k={} n={} {}", name(device->isa()), k, n, name(w.dtype()));
            const auto rounded = [&](const Tensor& rows, const MatrixView& columns) {
              return run(matrix(rows), columns, device, {.rounded = true});
            };
            EXPECT_TRUE(same_bits(rounded(x, matrix(w).t()), wanted)) << where;
            EXPECT_TRUE(same_bits(rounded(xt, matrix(wt).t()), wanted)) << where;
            for (int64_t m : {1, 2, 4, 5, 13}) {
              EXPECT_TRUE(same_bits(rounded(rows_of(x, 3, 3 + m), matrix(w).t()),
                                    rows_of(wanted, 3, 3 + m)))
                  << where << " m=" << m;
            }
          }
        }
      }
    }
  }
}

TEST(Gemm, DequantisesInBothOrientations) {
  for (const DevicePtr& device : devices_of_all_isas(2)) {
    for (DType dtype : kQuantised) {
      const Tensor rows = random_quantised(dtype, 53, 96, 1, device);
      const Tensor plain = dequantise(rows);
      const Tensor x = noise_tensor({9, 96}, 6, DType::kF32, device);
      const Tensor dy = noise_tensor({9, 53}, 7, DType::kF32, device);
      for (const Tensor& w : {rows, pack_panels(rows)}) {
        EXPECT_TRUE(same_bits(run(matrix(x), matrix(w).t(), device),
                              run(matrix(x), matrix(plain).t(), device)));
        EXPECT_TRUE(
            same_bits(run(matrix(dy), matrix(w), device), run(matrix(dy), matrix(plain), device)));
      }
    }
  }
}

TEST(Gemm, AddsBiasAndAddend) {
  const DevicePtr device = make_cpu_device({.threads = 2});
  for (int64_t k : {0, 40}) {
    for (int64_t m : {2, 11}) {
      const Tensor a = noise_tensor({m, k}, 1, DType::kF32, device);
      const Tensor b = noise_tensor({k, 19}, 2, DType::kF32, device);
      const Tensor bias = noise_tensor({19}, 3, DType::kF32, device);
      const std::vector<double> plain = to_doubles(run(matrix(a), matrix(b), device));
      const Tensor ones = Tensor::full({m, 19}, 1.0, DType::kF32, device);
      const Tensor both = run(matrix(a), matrix(b), device,
                              {.addend = ones.data<float>(), .bias = bias.data<float>()});
      for (int64_t i = 0; i < both.numel(); ++i) {
        EXPECT_NEAR(
            both.data<float>()[i],
            plain[static_cast<size_t>(i)] + static_cast<double>(bias.data<float>()[i % 19]) + 1,
            1e-6);
      }
    }
  }
}

TEST(Gemm, ShardsOfWholeLeavesAddUpToTheSameBits) {
  const DevicePtr device = make_cpu_device({.threads = 1});
  const int64_t k = 512;
  const Tensor a = noise_tensor({5, k}, 1, DType::kF32, device);
  const Tensor b = noise_tensor({20, k}, 2, DType::kF32, device);
  const Tensor wanted = run(matrix(a), matrix(b).t(), device, {.leaf_unit = 64});
  for (int64_t shards : {2, 4}) {
    std::vector<std::vector<float>> parts;
    for (int64_t s = 0; s < shards; ++s) {
      const auto part = [&](const Tensor& x) {
        return matrix(x.as_strided({x.dim(0), k / shards}, x.strides(), s * k / shards));
      };
      parts.push_back(run(part(a), part(b).t(), device,
                          {.leaf_unit = 64, .max_leaves = LeafPlan::kMaxLeaves / shards})
                          .to_vector<float>());
    }
    for (; parts.size() > 1; parts.resize(parts.size() / 2)) {
      for (size_t i = 0; i < parts.size() / 2; ++i) {
        std::vector<float> sum = parts[2 * i];
        for (size_t j = 0; j < sum.size(); ++j) sum[j] += parts[2 * i + 1][j];
        parts[i] = sum;
      }
    }
    EXPECT_EQ(parts[0], wanted.to_vector<float>()) << shards;
  }
}

TEST(Panels, HoldTheFilesBlocksAndComeBackUnchanged) {
  const DevicePtr device = make_cpu_device({.threads = 2});
  for (DType dtype : kQuantised) {
    for (int64_t rows : {1, 16, 33}) {
      const Tensor w = random_quantised(dtype, rows, 96, 1, device);
      const Tensor panels = pack_panels(w);
      EXPECT_EQ(panels.layout(), Layout::kPanels);
      EXPECT_TRUE(same_bits(unpack_panels(panels), w));
      EXPECT_TRUE(same_bits(dequantise(panels), dequantise(w)));
    }
  }
}

TEST(Panels, DequantiseAsGgufDoes) {
  const DevicePtr host = make_cpu_device({.threads = 1});
  const auto file = SafetensorsFile::open(YITI_TEST_DATA "/io/ggml_blocks.safetensors", host);
  const std::pair<DType, std::string> types[] = {
      {DType::kQ4_0, "Q4_0"}, {DType::kQ4_1, "Q4_1"}, {DType::kQ8_0, "Q8_0"}};
  for (const DevicePtr& device : devices_of_all_isas(1)) {
    for (const auto& [dtype, type] : types) {
      const Tensor blocks = file->tensor(type + ".blocks"), values = file->tensor(type + ".values");
      std::vector<std::byte> bytes(blocks.bytes());
      blocks.copy_to_host(bytes);
      const Shape shape = {values.numel() / 64, 64};
      const Tensor w = Tensor::from_bytes(bytes, shape, dtype, device);
      EXPECT_EQ(dequantise(w).to_vector<float>(), values.to_vector<float>()) << type;
      EXPECT_EQ(ops::dequantise(pack_panels(w)).to_vector<float>(), values.to_vector<float>());
    }
  }
}

class QuantisedLinear : public ::testing::TestWithParam<DType> {};

TEST_P(QuantisedLinear, GivesTheSameBitsForAnyLayoutBatchThreadsAndInstructionSet) {
  const DevicePtr host = make_cpu_device({.threads = 1});
  for (int64_t k : {32, 96, 576}) {
    const Tensor weight = random_quantised(GetParam(), 53, k, 1, host);
    const Tensor input = noise_tensor({33, k}, 2, DType::kF32, host);
    const Tensor bias = noise_tensor({53}, 3, DType::kF32, host);
    const Tensor wanted = ops::linear(input, weight, bias);
    for (int threads : {1, 2, 3}) {
      for (const DevicePtr& device : devices_of_all_isas(threads)) {
        const Tensor x = on(input, device), b = on(bias, device), rows = on(weight, device);
        for (const Tensor& w : {rows, pack_panels(rows)}) {
          EXPECT_TRUE(same_bits(ops::linear(x, w, b), wanted)) << name(device->isa());
          EXPECT_TRUE(same_bits(ops::linear(column_major(x), w, b), wanted));
          for (int64_t m : {1, 2, 3, 5}) {
            EXPECT_TRUE(
                same_bits(ops::linear(rows_of(x, 7, 7 + m), w, b), rows_of(wanted, 7, 7 + m)))
                << name(device->isa()) << " m=" << m;
          }
        }
      }
    }
  }
}

TEST_P(QuantisedLinear, IsNearTheProductWithExactActivations) {
  for (const DevicePtr& device : devices_of_all_isas(1)) {
    const Tensor w = pack_panels(random_quantised(GetParam(), 64, 576, 1, device));
    const Tensor x = noise_tensor({7, 576}, 2, DType::kF32, device);
    const Tensor exact = ops::linear(x, w, {}, 0, true);
    EXPECT_TRUE(same_bits(exact, ops::linear(x, dequantise(w))));
    EXPECT_LT(relative_error(ops::linear(x, w), exact), 0.02);
  }
}

TEST_P(QuantisedLinear, TakesARangeOfRowsOfTheWeight) {
  const DevicePtr device = make_cpu_device({.threads = 2});
  const Tensor w = pack_panels(random_quantised(GetParam(), 80, 64, 1, device));
  const Tensor x = noise_tensor({6, 64}, 2, DType::kF32, device);
  const Tensor whole = ops::linear(x, w);
  const Tensor part = Tensor::empty({6, 40}, DType::kF32, device);
  linear_into(*device, matrix(x), matrix(w).row_range(32, 72), part.data<float>(), 40);
  EXPECT_TRUE(same_bits(part, whole.as_strided({6, 40}, {80, 1}, 32).contiguous()));
  EXPECT_THROW((void)matrix(w).row_range(8, 16), Error);
}

TEST_P(QuantisedLinear, HandlesExtremeCodesExactly) {
  for (const DevicePtr& device : devices_of_all_isas(1)) {
    std::vector<std::byte> bytes(byte_size({16, 64}, GetParam()));
    for (std::byte fill : {std::byte{0xff}, std::byte{0x80}, std::byte{0x00}}) {
      std::fill(bytes.begin(), bytes.end(), fill);
      const auto block = static_cast<size_t>(info(GetParam()).block_bytes);
      for (size_t at = 0; at < bytes.size(); at += block) {
        for (size_t i = 0; i < (GetParam() == DType::kQ4_1 ? 4u : 2u); ++i) {
          bytes[at + i] = i % 2 == 0 ? std::byte{0} : std::byte{0x3c};  // 1.0
        }
      }
      const Tensor w = Tensor::from_bytes(bytes, {16, 64}, GetParam(), device);
      for (double value : {127.0, -127.0}) {
        const Tensor x = Tensor::full({2, 64}, value, DType::kF32, device);
        EXPECT_EQ(ops::linear(x, w).to_vector<float>(),
                  ops::linear(x, w, {}, 0, true).to_vector<float>());
      }
    }
  }
}

TEST_P(QuantisedLinear, PassesNaNAndInfinityOnToTheirRowOnly) {
  for (const DevicePtr& device : devices_of_all_isas(1)) {
    const Tensor w = random_quantised(GetParam(), 16, 64, 1, device);
    const Tensor x = noise_tensor({3, 64}, 2, DType::kF32, device);
    const std::vector<float> clean = ops::linear(x, w).to_vector<float>();
    for (float bad : {NAN, INFINITY}) {
      x.data<float>()[64 + 40] = bad;
      const std::vector<float> y = ops::linear(x, w).to_vector<float>();
      for (size_t i = 0; i < y.size(); ++i) {
        if (i / 16 == 1) {
          EXPECT_TRUE(std::isnan(y[i]));
        } else {
          EXPECT_EQ(y[i], clean[i]);
        }
      }
    }
  }
}

TEST_P(QuantisedLinear, HasAGradientForItsInputOnly) {
  const DevicePtr device = make_cpu_device({.threads = 1});
  const Tensor w = pack_panels(random_quantised(GetParam(), 20, 64, 1, device));
  const Tensor x = noise_tensor({3, 64}, 2, DType::kF32, device);
  const Tensor dy = noise_tensor({3, 20}, 3, DType::kF32, device);
  const std::vector<Tensor> in = {x, w, Tensor()}, out = {dy.as_meta()}, grad_out = {dy};
  const auto gradient = [&](const LinearAttrs& attrs) {
    return linear_op().gradient({in, out, grad_out, attrs, {true, false, false}})[0];
  };
  EXPECT_TRUE(same_bits(gradient({0, true}), ops::matmul(dy, dequantise(w))));
  EXPECT_TRUE(same_bits(gradient({}), run(matrix(dy), matrix(w), device, {.rounded = true})));
  EXPECT_THROW(linear_op().gradient({in, out, grad_out, LinearAttrs{}, {false, true, false}}),
               Error);
}

INSTANTIATE_TEST_SUITE_P(Types, QuantisedLinear, ::testing::ValuesIn(kQuantised),
                         [](const auto& type) { return std::string(name(type.param)); });

TEST(Linear, KernelsMatchReferences) {
  expect_kernels_match_reference(linear_op());
  expect_kernels_match_reference(linear_backward_input_op());
  expect_kernels_match_reference(linear_backward_weight_op());
  expect_kernels_match_reference(matmul_op());
  expect_kernels_match_reference(embedding_op());
  expect_kernels_match_reference(embedding_backward_op());
}

TEST(Linear, AddsToAnAddendWithTheBitsOfAnAdd) {
  for (const DevicePtr& device : devices_of_all_isas(2)) {
    for (DType dtype : {DType::kF32, DType::kQ4_0, DType::kQ4_1, DType::kQ8_0}) {
      const Tensor rows = dtype == DType::kF32 ? noise_tensor({53, 64}, 1, dtype, device)
                                               : random_quantised(dtype, 53, 64, 1, device);
      for (const Tensor& w : {rows, dtype == DType::kF32 ? rows : pack_panels(rows)}) {
        for (int64_t m : {1, 3, 11, 40}) {
          const Tensor x = noise_tensor({m, 64}, 2, DType::kF32, device);
          const Tensor addend = noise_tensor({m, 53}, 3, DType::kF32, device);
          EXPECT_TRUE(same_bits(ops::linear_add(addend, x, w), ops::add(addend, ops::linear(x, w))))
              << name(device->isa()) << " " << name(dtype) << " m=" << m;
        }
      }
    }
  }
}

TEST(Linear, WeightGradientDoesNotDependOnThreads) {
  const DevicePtr host = make_cpu_device({.threads = 1});
  const Tensor dy = noise_tensor({700, 40}, 1, DType::kF32, host);
  const Tensor x = noise_tensor({700, 50}, 2, DType::kF32, host);
  const Tensor wanted = linear_backward_weight_op()({dy, x})[0];
  for (int threads : {2, 4}) {
    for (const DevicePtr& device : devices_of_all_isas(threads)) {
      EXPECT_TRUE(
          same_bits(linear_backward_weight_op()({on(dy, device), on(x, device)})[0], wanted));
    }
  }
}

TEST(Embedding, NamesTheIdThatIsOutOfRange) {
  const DevicePtr device = make_cpu_device({.threads = 1});
  const Tensor weight = noise_tensor({5, 4}, 1, DType::kF32, device);
  for (int32_t bad : {5, -1}) {
    const Tensor ids = Tensor::from(std::vector<int32_t>{0, bad}, {2}, device);
    try {
      ops::embedding(ids, weight);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kOutOfRange);
      EXPECT_THAT(error.what(),
                  HasSubstr(fmt::format("id {} at position 1; wants 0 <= id < 5", bad)));
    }
  }
}

}  // namespace
}  // namespace yiti
