#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/conv/pool2d.h"

namespace yiti {
namespace {

TEST(MaxPool2d, GivesNaNWhereOneIsSeenAndMinusInfinityWhereNothingElseIs) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float low = -std::numeric_limits<float>::infinity();
  const std::vector<float> image = {nan, 1, low, low,  //
                                    2,   3, low, low,  //
                                    5,   4, 6,   nan,  //
                                    7,   0, 9,   8};
  const DevicePtr device = make_cpu_device();
  const Tensor x = Tensor::from(image, {1, 1, 4, 4}, device);
  const std::vector<float> y = ops::max_pool2d(x, {.kernel = 2}).to_vector<float>();
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], low);
  EXPECT_EQ(y[2], 7);
  EXPECT_TRUE(std::isnan(y[3]));
}

}  // namespace
}  // namespace yiti
