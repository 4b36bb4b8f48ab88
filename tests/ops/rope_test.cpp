#include "ops/attention/rope.h"

#include "tests/ops/op_checks.h"

namespace yiti {
namespace {

TEST(Rope, KernelsMatchTheirReferences) {
  expect_kernels_match_reference(rope_op());
  expect_kernels_match_reference(rope_table_op());
}

TEST(Rope, GradientMatchesFiniteDifferences) {
  const DevicePtr device = make_cpu_device();
  const Tensor x = noise_tensor({2, 2, 7}, 1, DType::kF64, device);
  const Tensor cos = noise_tensor({2, 3}, 2, DType::kF64, device);
  const Tensor sin = noise_tensor({2, 3}, 3, DType::kF64, device);
  expect_gradient_matches_differences(rope_op(), {x, cos, sin}, RopeAttrs{}, {0});
}

TEST(Rope, RotatesPairsThatLieHalfAHeadApart) {
  const DevicePtr device = make_cpu_device();
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3, 4, 5}, {1, 1, 5}, device);
  const Tensor cos = Tensor::from(std::vector<float>{0, 1}, {1, 2}, device);
  const Tensor sin = Tensor::from(std::vector<float>{1, 0}, {1, 2}, device);
  EXPECT_EQ(ops::rope(x, cos, sin).to_vector<float>(), (std::vector<float>{-3, 2, 1, 4, 5}));
}

TEST(Rope, AllInstructionSetsGiveTheSameBits) {
  std::vector<Tensor> results;
  for (const DevicePtr& device : devices_of_all_isas(2)) {
    results.push_back(ops::rope(noise_tensor({50, 3, 80}, 1, DType::kF32, device),
                                noise_tensor({50, 35}, 2, DType::kF32, device),
                                noise_tensor({50, 35}, 3, DType::kF32, device)));
    EXPECT_TRUE(same_bits(results.front(), results.back()));
  }
}

TEST(Rope, RefusesMoreAnglesThanPairs) {
  const DevicePtr device = make_cpu_device();
  const Tensor x = Tensor::zeros({1, 1, 6}, DType::kF32, device);
  const Tensor table = Tensor::zeros({1, 4}, DType::kF32, device);
  EXPECT_THROW(ops::rope(x, table, table), Error);
}

}  // namespace
}  // namespace yiti
