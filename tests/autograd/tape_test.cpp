#include "autograd/tape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "ops/elementwise/operators.h"
#include "ops/elementwise/unary.h"
#include "ops/fused/linear_add.h"
#include "ops/reduce/reduce.h"
#include "tests/ops/op_checks.h"

namespace yiti {
namespace {

using ::testing::Each;
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

// linear and linear_add add their gradients to what is there, in place.
TEST_F(TapeTest, ProductsAddToGatheredGradientsWithTheBitsOfASum) {
  const auto noise = [&](Shape shape, uint64_t seed) {
    return noise_tensor(shape, seed, DType::kF32, device);
  };
  const Tensor h = tape->watch(noise({5, 16}, 1)), w = tape->watch(noise({7, 16}, 2)),
               a = tape->watch(noise({3, 16}, 3)), b = tape->watch(noise({7, 3}, 4));
  const auto product = [&] { return ops::linear(h, w); };
  const auto adapted = [&] { return ops::linear_add(product(), ops::linear(h, a), b); };
  const Tensor seed = noise({5, 7}, 5);
  const std::vector<Tensor> watched = {h, w, a, b};
  const auto of_product = tape->gradients(product(), watched, seed);
  const auto of_low = tape->gradients(ops::linear(ops::linear(h, a), b), watched, seed);
  const auto both = tape->gradients(adapted(), watched, seed);
  EXPECT_TRUE(same_bits(both[0], ops::add(of_low[0], of_product[0])));
  EXPECT_TRUE(same_bits(both[1], of_product[1]));
  EXPECT_TRUE(same_bits(both[2], of_low[2]));
  EXPECT_TRUE(same_bits(both[3], of_low[3]));
}

TEST_F(TapeTest, AGradientThatSomeoneHoldsStaysAsItIs) {
  const Tensor h = Tensor::full({2, 4}, 1, DType::kF32, device);
  const Tensor w = tape->watch(Tensor::full({3, 4}, 2, DType::kF32, device));
  tape->backward(ops::sum(ops::linear(h, w)));
  const std::byte* first = tape->grad(w).raw();
  tape->backward(ops::sum(ops::linear(h, w)));
  EXPECT_EQ(tape->grad(w).raw(), first);
  const Tensor held = tape->grad(w);
  tape->backward(ops::sum(ops::linear(h, w)));
  EXPECT_THAT(held.to_vector<float>(), Each(4));
  EXPECT_THAT(tape->grad(w).to_vector<float>(), Each(6));
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

TEST_F(TapeTest, AnOutputIsDifferentiatedOnce) {
  const Tensor once = x * x, loss = ops::sum(once), other = ops::sum(once * x);
  tape->backward(loss);
  EXPECT_THROW(tape->backward(loss), Error);
  EXPECT_THROW(tape->backward(other), Error);  // shares `once`
  EXPECT_THAT(tape->grad(x).to_vector<float>(), ElementsAre(2, 4, 6));
}

TEST_F(TapeTest, OutputsThatShareNothingAreIndependent) {
  const Tensor first = ops::sum(x * x), second = ops::sum(x * x * x);
  tape->backward(first);
  tape->backward(second);
  EXPECT_THAT(tape->grad(x).to_vector<float>(), ElementsAre(5, 16, 33));
}

TEST_F(TapeTest, ForgetsWhatNoTensorLeadsTo) {
  Tensor kept = x;
  for (int i = 0; i < 10; ++i) kept = kept * x;
  for (int i = 0; i < 1000; ++i) ops::exp(x * x);
  EXPECT_LT(tape->saved_bytes(), 300 * 3 * sizeof(float));
  tape->backward(ops::sum(kept));
  EXPECT_THAT(tape->grad(x).to_vector<float>(), ElementsAre(11, 11 * 1024, 11 * 59049));
  EXPECT_EQ(tape->saved_bytes(), 0u);
}

TEST_F(TapeTest, GradientsLeaveTheGatheredOnesAlone) {
  tape->backward(ops::sum(x * x));
  const Tensor y = tape->watch(x.detached());
  const auto grads = tape->gradients(ops::sum(x * x * x), std::vector{x, y});
  EXPECT_THAT(grads[0].to_vector<float>(), ElementsAre(3, 12, 27));
  EXPECT_FALSE(grads[1].defined());
  EXPECT_THAT(tape->grad(x).to_vector<float>(), ElementsAre(2, 4, 6));
}

TEST_F(TapeTest, AGradientCanBeReplaced) {
  tape->set_grad(x, Tensor::full({3}, 5, DType::kF32, device));
  tape->backward(ops::sum(x));
  EXPECT_THAT(tape->grad(x).to_vector<float>(), ElementsAre(6, 6, 6));
  tape->set_grad(x, {});
  EXPECT_FALSE(tape->grad(x).defined());
  EXPECT_THROW(tape->set_grad(x, Tensor::zeros({2}, DType::kF32, device)), Error);
  EXPECT_THROW(tape->set_grad(x * x, Tensor::zeros({3}, DType::kF32, device)), Error);
}

TEST_F(TapeTest, AFunctionThatIsNoOpBringsItsGradient) {
  Tensor y = ops::exp(x.detached());
  const Tensor slope = y;
  tape->record_function("exponential", std::vector{x}, std::span(&y, 1),
                        [&](const GradArgs& g) { return std::vector{g.grad_out[0] * slope}; });
  tape->backward(ops::sum(y * 2.0));
  const auto own = tape->grad(x).to_vector<float>();
  tape->clear();
  tape->backward(ops::sum(ops::exp(x) * 2.0));
  EXPECT_EQ(tape->grad(x).to_vector<float>(), own);
}

TEST_F(TapeTest, IntegersCannotBeWatched) {
  EXPECT_THROW(tape->watch(Tensor::zeros({2}, DType::kI32, device)), Error);
}

}  // namespace
}  // namespace yiti
