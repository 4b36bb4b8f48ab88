#include "core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace yiti {
namespace {

// The known answers that Random123 1.14 publishes for philox4x32-10 (tests/kat_vectors).
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomKey, EachPartCounts) {
  const std::set<double> numbers = {uniform({7, 1}, 41), uniform({7, 1}, 42), uniform({7, 2}, 41),
                                    uniform({8, 1}, 41), uniform({7, 1}, (uint64_t{1} << 32) + 41)};
  EXPECT_EQ(numbers.size(), 5u);
  EXPECT_EQ(uniform({7, 1}, 41), *numbers.find(uniform({7, 1}, 41)));
}

TEST(RandomKey, HasTheMomentsOfItsDistributions) {
  constexpr RandomKey kKey{3, 0};
  constexpr int kCount = 100000;
  double flat = 0, mean = 0, square = 0, fourth = 0;
  for (uint64_t i = 0; i < kCount; ++i) {
    const double u = uniform(kKey, i), z = normal(kKey, i);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    flat += u / kCount;
    mean += z / kCount;
    square += z * z / kCount;
    fourth += z * z * z * z / kCount;
  }
  // Five standard deviations of each mean.
  const double sigma = 5 / std::sqrt(static_cast<double>(kCount));
  EXPECT_NEAR(flat, 0.5, sigma * 0.289);
  EXPECT_NEAR(mean, 0, sigma);
  EXPECT_NEAR(square, 1, sigma * std::sqrt(2.0));
  EXPECT_NEAR(fourth, 3, sigma * std::sqrt(96.0));
}

TEST(RandomKey, FillsTheSameOnAnyThreads) {
  std::vector<float> first;
  for (int threads : {1, 3}) {
    CpuOptions options;
    options.threads = threads;
    const Tensor tensor = Tensor::empty({70000}, DType::kF32, make_cpu_device(options));
    fill_normal(tensor, 1, 2, {5, 6});
    if (first.empty()) first = tensor.to_vector<float>();
    EXPECT_EQ(tensor.to_vector<float>(), first);
  }
  EXPECT_EQ(first[1000], 1 + 2 * static_cast<float>(normal({5, 6}, 1000)));
}

}  // namespace
}  // namespace yiti
