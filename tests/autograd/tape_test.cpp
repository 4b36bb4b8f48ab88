#include "autograd/tape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "ops/elementwise/operators.h"
#include "ops/elementwise/unary.h"
#include "ops/reduce/reduce.h"

namespace yiti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TapeTest : public testing::Test {
 protected:
  DevicePtr device = make_cpu_device();
  std::shared_ptr<Tape> tape = Tape::create();
  Tensor x = tape->watch(Tensor::from(std::vector<float>{1, 2, 3}, {3}, device));
};

TEST_F(TapeTest, DifferentiatesAComposition) {
  const Tensor y = ops::sum(x * x * x);
  tape->backward(y);
  EXPECT_THAT(tape->grad(x).to_vector<float>(), ElementsAre(3, 12, 27));
}

TEST_F(TapeTest, AddsUpOverBackwardPasses) {
  tape->backward(ops::sum(x * x));
  tape->backward(ops::sum(x * x));
  EXPECT_THAT(tape->grad(x).to_vector<float>(), ElementsAre(4, 8, 12));
  tape->clear();
  EXPECT_FALSE(tape->grad(x).defined());
}

TEST_F(TapeTest, AValueUsedTwiceGetsBothGradients) {
  const Tensor y = x + x;
  tape->backward(ops::sum(y * x));
  EXPECT_THAT(tape->grad(x).to_vector<float>(), ElementsAre(4, 8, 12));
}

TEST_F(TapeTest, DetachedValuesGetNone) {
  tape->backward(ops::sum(x * x.detached()));
  EXPECT_THAT(tape->grad(x).to_vector<float>(), ElementsAre(1, 2, 3));
}

TEST_F(TapeTest, CheckpointGivesTheSameGradientAndKeepsLess) {
  const Tensor weight = tape->watch(Tensor::from(std::vector<float>{2, 2, 2}, {3}, device));
  const auto f = [&](const Tensor& in) { return ops::exp(in * weight) * in; };
  tape->backward(ops::sum(f(x)));
  const auto plain = tape->grad(x).to_vector<float>();
  const auto plain_weight = tape->grad(weight).to_vector<float>();
  tape->clear();
  const Tensor y = tape->checkpoint(f, x);
  EXPECT_LE(tape->saved_bytes(), 64u);
  tape->backward(ops::sum(y));
  EXPECT_EQ(tape->grad(x).to_vector<float>(), plain);
  EXPECT_EQ(tape->grad(weight).to_vector<float>(), plain_weight);
}

TEST_F(TapeTest, OutputsOfCheapOpsAreComputedAgainRatherThanKept) {
  const auto gradients = [&](bool cheap) {
    Op op = mul_op();
    op.cheap = cheap;
    tape->clear();
    const Tensor once = op({x, x})[0], twice = op({once, x})[0];
    const Tensor loss = ops::sum(ops::exp(twice) * twice * once);
    const size_t kept = tape->saved_bytes();
    tape->backward(loss);
    return std::pair(kept, tape->grad(x).to_vector<float>());
  };
  const auto [kept, gradient] = gradients(false);
  const auto [kept_of_cheap, gradient_of_cheap] = gradients(true);
  EXPECT_LT(kept_of_cheap, kept);
  EXPECT_EQ(gradient_of_cheap, gradient);
}

TEST_F(TapeTest, AnOpWithoutGradientThrowsNamingItself) {
  const Op op = OpBuilder("opaque")
                    .input("x", "*")
                    .output("y", "*")
                    .shape_rule([](std::span<const Tensor> in, const Attrs&, const Op&) {
                      return std::vector{in[0].as_meta()};
                    })
                    .kernel(cpu_kernel("cpu.f32", DType::kF32, [](const KernelArgs&) {}))
                    .build();
  try {
    op({x});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnimplemented);
    EXPECT_THAT(error.what(), HasSubstr("opaque: has no gradient"));
  }
}

TEST_F(TapeTest, BackwardOfAnUntracedOutputSaysSo) {
  EXPECT_THROW(tape->backward(x.detached()), Error);
  EXPECT_THROW(tape->backward(x * x), Error);  // no seed for three elements
}

TEST_F(TapeTest, RefusesTensorsOfTwoTapes) {
  const auto other = Tape::create();
  const Tensor y = other->watch(Tensor::from(std::vector<float>{1, 2, 3}, {3}, device));
  EXPECT_THROW(x + y, Error);
}

TEST_F(TapeTest, IntegersCannotBeWatched) {
  EXPECT_THROW(tape->watch(Tensor::zeros({2}, DType::kI32, device)), Error);
}

}  // namespace
}  // namespace yiti
