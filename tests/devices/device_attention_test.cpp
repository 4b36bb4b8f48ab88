// Attention over more keys than one segment, on the device that YITI_TEST_DEVICE names.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "ops/attention/attention.h"
#include "ops/attention/attention_paged.h"
#include "ops/attention/kv_types.h"
#include "ops/attention/kv_write.h"
#include "ops/derived/comparison.h"
#include "ops/host_values.h"
#include "tests/test_device.h"

namespace yiti {
namespace {

constexpr int64_t kTokens = 1100, kHeads = 2, kWidth = 16, kBlocks = 20;

Tensor wave(const Shape& shape, double phase, const DevicePtr& device) {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(std::sin(phase + 1.7 * static_cast<double>(i)));
  }
  return Tensor::from(values, shape, device);
}

Tensor row(const Tensor& x, int64_t token) {
  return x.as_strided({1, kHeads, kWidth}, {kHeads * kWidth, kWidth, 1}, token * kHeads * kWidth);
}

template <class T>
Tensor counting(int64_t count, const DevicePtr& device) {
  std::vector<T> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), T{0});
  return Tensor::from(values, {count}, device);
}

class DeviceAttention : public testing::TestWithParam<DType> {};

TEST_P(DeviceAttention, OverAPoolHasTheBitsOfAttentionOverRows) {
  if (test_device_name().empty()) GTEST_SKIP() << "set YITI_TEST_DEVICE to a plug-in's name";
  const DevicePtr device = test_device(2);
  const DType kept = GetParam();
  const Shape heads = {kTokens, kHeads, kWidth}, kv_heads = {kTokens, 1, kWidth};
  const Tensor q = wave(heads, 0, device), k = wave(kv_heads, 1, device);
  const Tensor v = wave(kv_heads, 2, device);
  const std::vector<Tensor> pools =
      kv_write_op()({k, v, counting<int64_t>(kTokens, device),
                     Tensor::zeros(key_pool_shape(kBlocks, 1, kWidth, kept), kept, device),
                     Tensor::zeros(value_pool_shape(kBlocks, 1, kWidth, kept), kept, device)});
  const Tensor tables =
      counting<int32_t>(kBlocks, device).as_strided({1, kBlocks}, {kBlocks, 1}, 0);
  for (const int64_t window : {0, 600}) {
    const Tensor rows =
        ops::attention(q, k, v, counting<int32_t>(kTokens, device), 0.25, window, kept)
            .on(device->host());
    for (const int32_t token : {0, 63, 511, 512, 700, 1099}) {
      const Tensor one =
          ops::attention_paged(row(q, token), pools[0], pools[1], tables,
                               Tensor::from(std::vector<int32_t>{0}, {1}, device),
                               Tensor::from(std::vector<int32_t>{token}, {1}, device), 0.25, window)
              .on(device->host());
      EXPECT_TRUE(derived::same_bits(one, row(rows, token)))
          << "token " << token << ", window " << window;
    }
    const DevicePtr cpu = device->host();
    const Tensor reference = ops::attention(q.on(cpu), k.on(cpu), v.on(cpu),
                                            counting<int32_t>(kTokens, cpu), 0.25, window, kept);
    for (int64_t i = 0; i < rows.numel(); ++i) {
      ASSERT_NEAR(rows.data<float>()[i], reference.data<float>()[i], 1e-5) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kept, DeviceAttention,
                         testing::Values(DType::kF32, DType::kF16, DType::kI8),
                         [](const auto& parameter) { return std::string(name(parameter.param)); });

}  // namespace
}  // namespace yiti
