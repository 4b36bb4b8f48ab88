// Programs of a few ops: constants and views in a capture.
#include <gmock/gmock.h>

#include "core/error.h"
#include "inference/session.h"
#include "ops/elementwise/operators.h"
#include "ops/linear/matmul.h"
#include "ops/shape/contiguous.h"
#include "ops/shape/permute.h"
#include "ops/shape/reshape.h"

namespace yiti {
namespace {

using ::testing::ElementsAre;

class CaptureTest : public testing::Test {
 protected:
  // Runs what `f` does to x [2, 2] = 1, 2, 3, 4.
  template <class F>
  std::vector<float> run(F f) {
    ProgramBuilder builder("test", device);
    builder.output(f(builder.input("x", {{2}, {2}}, DType::kF32)));
    Session session(builder.finish());
    const float x[] = {1, 2, 3, 4};
    std::copy_n(x, 4, session.input(0).data<float>());
    session.run({}, nullptr);
    return session.output(0).to_vector<float>();
  }

  DevicePtr device = make_cpu_device({.threads = 1});
};

TEST_F(CaptureTest, ViewsOfOneConstantStayApart) {
  const Tensor c = Tensor::from(std::vector<float>{1, 2, 3, 4}, {2, 2}, device);
  const auto y = run([&](const Tensor& x) { return x + c + ops::transpose(c, 0, 1) * 10.0; });
  EXPECT_THAT(y, ElementsAre(12, 34, 26, 48));
  const auto z = run(
      [&](const Tensor& x) { return ops::matmul(x, c) + ops::matmul(x, ops::transpose(c, 0, 1)); });
  EXPECT_THAT(z, ElementsAre(12, 21, 26, 47));
}

TEST_F(CaptureTest, AViewThatWouldCopyIsRefused) {
  const auto turned = [](const Tensor& x) { return ops::transpose(x * 2.0, 0, 1); };
  EXPECT_THROW(run([&](const Tensor& x) { return ops::reshape(turned(x), {4}) + 1.0; }), Error);
  const auto y = run(
      [&](const Tensor& x) { return ops::reshape(contiguous_op()({turned(x)})[0], {4}) + 1.0; });
  EXPECT_THAT(y, ElementsAre(3, 7, 5, 9));
}

}  // namespace
}  // namespace yiti
