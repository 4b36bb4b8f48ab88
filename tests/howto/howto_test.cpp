// The sample code of docs/howto does what the page says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "examples/howto/softsign.h"
#include "tests/derived/checks.h"

namespace yiti {
namespace {

using ::testing::IsEmpty;

TEST(SampleOp, PassesTheDerivedTests) {
  EXPECT_THAT(derived::check_declaration(softsign_op()).failures, IsEmpty());
  EXPECT_THAT(derived::check_rejections(softsign_op()).failures, IsEmpty());
  EXPECT_THAT(derived::check_kernels(softsign_op()).failures, IsEmpty());
  EXPECT_THAT(derived::check_layouts(softsign_op()).failures, IsEmpty());
  EXPECT_THAT(derived::check_rows(softsign_op()).failures, IsEmpty());
  EXPECT_THAT(derived::check_gradients(softsign_op()).failures, IsEmpty());
}

TEST(SampleOp, ComputesSoftsign) {
  const Tensor x = Tensor::from(std::vector<float>{-3, 0, 1}, {3}, make_cpu_device());
  EXPECT_EQ(ops::softsign(x).to_vector<float>(), (std::vector<float>{-0.75f, 0, 0.5f}));
}

}  // namespace
}  // namespace yiti
