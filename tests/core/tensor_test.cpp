#include "core/tensor.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"

namespace yiti {
namespace {

TEST(Half, RoundTripsEveryBitPattern) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Half half{static_cast<uint16_t>(bits)};
    const float value = to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(to_float(to_half(value))));
    } else {
      EXPECT_EQ(to_half(value).bits, half.bits) << bits;
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(to_half(1.0f + 0x1p-11f).bits, to_half(1.0f).bits);
  EXPECT_EQ(to_half(1.0f + 3 * 0x1p-11f).bits, to_half(1.0f + 0x1p-9f).bits);
  EXPECT_EQ(to_half(65520.0f).bits, 0x7c00);
  EXPECT_EQ(to_half(65519.0f).bits, 0x7bff);
  EXPECT_EQ(to_half(0x1p-25f).bits, 0);
  EXPECT_EQ(to_half(0x1.8p-25f).bits, 1);
}

TEST(Tensor, ViewsShareStorage) {
  const DevicePtr device = make_cpu_device();
  const Tensor t = Tensor::from(std::vector<float>{0, 1, 2, 3, 4, 5}, {2, 3}, device);
  const Tensor transposed = t.as_strided({3, 2}, {1, 3}, 0);
  EXPECT_EQ(transposed.to_vector<float>(), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_FALSE(transposed.is_contiguous());
  EXPECT_TRUE(transposed.same_memory(t));
  EXPECT_EQ(transposed.contiguous().to_vector<float>(), transposed.to_vector<float>());
}

TEST(Tensor, RefusesAViewOutsideItsStorage) {
  const Tensor t = Tensor::zeros({4}, DType::kF32, make_cpu_device());
  EXPECT_THROW(t.as_strided({4}, {1}, 1), Error);
  EXPECT_THROW(Tensor::of_storage(t.storage(), 60, {4}, DType::kF32), Error);
}

TEST(Tensor, QuantisedRowsHoldWholeBlocks) {
  EXPECT_EQ(byte_size({3, 64}, DType::kQ4_1), 3u * 2 * 20);
  EXPECT_EQ(byte_size({3, 64}, DType::kQ4_1, Layout::kPanels), 16u * 2 * 20);
  EXPECT_THROW(byte_size({3, 48}, DType::kQ4_1), Error);
}

TEST(Device, ReusesFreedMemory) {
  const DevicePtr device = make_cpu_device();
  const std::byte* first = Tensor::empty({1000}, DType::kF32, device).raw();
  EXPECT_EQ(Tensor::empty({1000}, DType::kF32, device).raw(), first);
  EXPECT_EQ(device->live_bytes(), 0u);
}

TEST(ThreadPool, CoversTheRangeOnce) {
  ThreadPool pool(2);
  std::vector<int> hits(1001);
  pool.parallel_for(1001, 7, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(begin % 7, 0);
    for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
  });
  EXPECT_EQ(hits, std::vector<int>(1001, 1));
}

}  // namespace
}  // namespace yiti
