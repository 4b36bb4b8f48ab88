// What is the OpenCL plug-in's own: its errors. Its ops are tested as every device's are.
#include <gtest/gtest.h>

#include "core/plugin/device_plugin.h"
#include "ops/derived/comparison.h"
#include "ops/linear/embedding.h"
#include "ops/linear/linear_reference.h"
#include "tests/message_of.h"

namespace yiti {
namespace {

class OpenClDevice : public testing::Test {
 protected:
  void SetUp() override {
    DeviceOptions options;
    options.path = YITI_DEVICES;
    options.fallback = DeviceFallback::kRefuse;
    try {
      device_ = open_device("opencl", options);
    } catch (const Error& error) {
      if (error.code() != Code::kUnavailable) throw;
      GTEST_SKIP() << error.what();
    }
  }

  DevicePtr device_;
};

TEST_F(OpenClDevice, TellsOfAnIdThatThereIsNotWhenTheResultIsRead) {
  const Tensor weight = Tensor::from(std::vector<float>{1, 2, 3, 4}, {2, 2}, device_);
  const Tensor ids = Tensor::from(std::vector<int32_t>{1, 2}, {2}, device_);
  const Tensor rows = ops::embedding(ids, weight);
  const std::string message = message_of([&] { rows.to_vector<float>(); }, Code::kOutOfRange);
  EXPECT_NE(message.find("embedding: an id"), std::string::npos) << message;
  EXPECT_NE(message.find("out of range"), std::string::npos) << message;
  // It is told once, and what came before it was computed.
  EXPECT_EQ(weight.to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
}

TEST_F(OpenClDevice, SaysWhichCallFailedWhereMemoryIsShort) {
  const std::string message = message_of(
      [&] { Tensor::empty({int64_t{1} << 46}, DType::kF32, device_); }, Code::kResourceExhausted);
  EXPECT_NE(message.find("clCreateBuffer"), std::string::npos) << message;
}

// A CPU's layout; other devices keep rows, which is no less right.
TEST_F(OpenClDevice, PacksAWeightIntoOneCopyThatGivesItsRowsBack) {
  for (const DType dtype : {DType::kQ4_0, DType::kQ4_1, DType::kQ8_0}) {
    const Tensor rows = random_quantised(dtype, 500, 320, 3, device_->host());
    const size_t before = device_->live_bytes();
    const Tensor packed = packed_weight(rows.on(device_));
    if (packed.layout() == Layout::kRows) GTEST_SKIP() << "the device is no CPU";
    const size_t padded = static_cast<size_t>(512 * 10 * info(dtype).block_bytes);
    EXPECT_LE(device_->live_bytes() - before, padded + padded / 8);
    EXPECT_TRUE(derived::same_bits(packed.on(device_->host()), rows));
    EXPECT_TRUE(derived::same_bits(packed_weight(packed).copy(), rows));
    EXPECT_TRUE(packed_weight(packed).same_memory(packed));
  }
}

}  // namespace
}  // namespace yiti
