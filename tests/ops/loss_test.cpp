#include "ops/linear/linear.h"
#include "ops/loss/cross_entropy.h"
#include "ops/loss/linear_cross_entropy.h"
#include "ops/loss/log_probability.h"
#include "ops/norm/softmax.h"
#include "tests/ops/op_checks.h"

namespace yiti {
namespace {

Tensor labels_of(const std::vector<int32_t>& labels, const DevicePtr& device) {
  return Tensor::from(labels, {static_cast<int64_t>(labels.size())}, device);
}

std::vector<int32_t> some_labels(int64_t rows, int32_t classes) {
  std::vector<int32_t> labels;
  for (int64_t t = 0; t < rows; ++t) {
    labels.push_back(t % 3 == 1 ? -100 : static_cast<int32_t>(t * 37 % classes));
  }
  return labels;
}

TEST(Loss, KernelsMatchTheirReferences) {
  for (const Op* op :
       {&cross_entropy_op(), &cross_entropy_backward_op(), &linear_cross_entropy_op(),
        &linear_cross_entropy_frozen_op(), &linear_cross_entropy_backward_op()}) {
    expect_kernels_match_reference(*op);
  }
}

TEST(Loss, GradientsMatchFiniteDifferences) {
  const DevicePtr device = make_cpu_device();
  const Tensor labels = labels_of({3, -100, 0, 2}, device);
  expect_gradient_matches_differences(
      cross_entropy_op(), {noise_tensor({4, 5}, 1, DType::kF64, device), labels}, {}, {0});
  expect_gradient_matches_differences(linear_cross_entropy_op(),
                                      {noise_tensor({4, 3}, 1, DType::kF64, device),
                                       noise_tensor({5, 3}, 2, DType::kF64, device), labels},
                                      LinearCrossEntropyAttrs{2, false}, {0, 1});
  expect_gradient_matches_differences(linear_cross_entropy_frozen_op(),
                                      {noise_tensor({4, 3}, 1, DType::kF64, device),
                                       noise_tensor({5, 3}, 2, DType::kF64, device), labels},
                                      LinearCrossEntropyAttrs{2, false}, {0});
}

TEST(Loss, ChunkedLossHasTheBitsOfLinearAndCrossEntropy) {
  for (int threads : {1, 2}) {
    for (const DevicePtr& device : devices_of_all_isas(threads)) {
      const Tensor x = noise_tensor({70, 96}, 1, DType::kF32, device);
      const Tensor weight = noise_tensor({301, 96}, 2, DType::kF32, device);
      const Tensor labels = labels_of(some_labels(70, 301), device);
      const Tensor whole = ops::cross_entropy(ops::linear(x, weight), labels);
      for (int64_t chunk : {1, 16, 128}) {
        const LinearCrossEntropyAttrs attrs{chunk, false};
        EXPECT_TRUE(same_bits(linear_cross_entropy_op()({x, weight, labels}, attrs)[0], whole))
            << chunk << " on " << name(device->isa());
      }
    }
  }
}

// Blocks of a 16-bit scale and 32 codes.
Tensor quantised(int64_t rows, int64_t columns, const DevicePtr& device) {
  std::vector<std::byte> bytes;
  const std::vector<double> codes = noise(rows * columns, 5);
  for (size_t i = 0; i < codes.size(); ++i) {
    if (i % 32 == 0) {
      const Half scale = to_half(0.01f * static_cast<float>(1 + i % 7));
      bytes.push_back(static_cast<std::byte>(scale.bits & 0xff));
      bytes.push_back(static_cast<std::byte>(scale.bits >> 8));
    }
    bytes.push_back(static_cast<std::byte>(static_cast<int8_t>(127 * codes[i])));
  }
  return Tensor::from_bytes(bytes, {rows, columns}, DType::kQ8_0, device);
}

TEST(Loss, ChunksOfAQuantisedHeadHaveTheBitsOfLinear) {
  const DevicePtr device = make_cpu_device({.threads = 2});
  const Tensor x = noise_tensor({40, 96}, 1, DType::kF32, device);
  const Tensor weight = quantised(301, 96, device);
  const Tensor labels = labels_of(some_labels(40, 301), device);
  for (bool exact : {false, true}) {
    const Tensor logits = ops::linear(x, weight, {}, 0, exact);
    const Tensor whole = ops::cross_entropy(logits, labels);
    const LinearCrossEntropyAttrs attrs{16, exact};
    const std::vector<Tensor> in = {x, weight, labels};
    EXPECT_TRUE(same_bits(linear_cross_entropy_op()(in, attrs)[0], whole));
    const Op& frozen = linear_cross_entropy_frozen_op();
    const std::vector<Tensor> out = {Tensor::empty({40}, DType::kF32, device),
                                     Tensor::empty({40, 96}, DType::kF32, device)};
    frozen.run_into(in, attrs, out);
    EXPECT_TRUE(same_bits(out[0], whole));
    EXPECT_LE(relative_error(out[1], frozen.reference(in, attrs)[1]), 5e-6);
  }
}

TEST(Loss, GradientsDoNotDependOnThreads) {
  const auto run = [](int threads) {
    const DevicePtr device = make_cpu_device({.threads = threads});
    const Tensor x = noise_tensor({70, 96}, 1, DType::kF32, device);
    const Tensor weight = noise_tensor({301, 96}, 2, DType::kF32, device);
    const Tensor labels = labels_of(some_labels(70, 301), device);
    const Tensor lse = Tensor::full({70}, 6, DType::kF32, device);
    return linear_cross_entropy_backward_op()({x, weight, labels, lse, lse},
                                              LinearCrossEntropyAttrs{16, false});
  };
  const std::vector<Tensor> one = run(1), two = run(2);
  EXPECT_TRUE(same_bits(one[0], two[0]));
  EXPECT_TRUE(same_bits(one[1], two[1]));
}

TEST(Loss, IsMinusTheLogProbabilityThatSamplingReports) {
  const DevicePtr device = make_cpu_device();
  const Tensor logits = noise_tensor({1, 5000}, 3, DType::kF32, device);
  const float loss = ops::cross_entropy(logits, labels_of({77}, device)).to_vector<float>()[0];
  const std::vector<float> row = logits.to_vector<float>();
  EXPECT_EQ(-loss, log_probability(row, 77));
  EXPECT_EQ(-loss, ops::log_softmax(logits).to_vector<float>()[77]);
  EXPECT_THROW(log_probability(row, 5000), Error);
  EXPECT_THROW(log_probability(row, -1), Error);
}

TEST(Loss, LogSumExpIsAccurateOverAVocabulary) {
  std::vector<float> row;
  for (double x : noise(150000, 4)) row.push_back(static_cast<float>(8 * x));
  double total = 0;
  for (float x : row) total += std::exp(static_cast<double>(x));
  EXPECT_NEAR(static_cast<double>(log_sum_exp(row)), std::log(total), 2e-6);
}

TEST(Loss, RefusesLabelsThatAreNoClasses) {
  const DevicePtr device = make_cpu_device();
  const Tensor logits = Tensor::zeros({2, 4}, DType::kF32, device);
  for (int32_t bad : {4, -1, -101, 1 << 30}) {
    try {
      ops::cross_entropy(logits, labels_of({0, bad}, device));
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("of row 1"), std::string::npos) << error.what();
    }
    EXPECT_THROW(ops::linear_cross_entropy(logits, Tensor::zeros({4, 4}, DType::kF32, device),
                                           labels_of({0, bad}, device)),
                 Error);
  }
}

TEST(Loss, IgnoredRowsAreZeroAndGetNoGradient) {
  const DevicePtr device = make_cpu_device();
  std::vector<float> x(8, 1.0f);
  x[0] = NAN;  // never read
  const Tensor rows = Tensor::from(x, {2, 4}, device);
  const Tensor weight = noise_tensor({3, 4}, 1, DType::kF32, device);
  const Tensor labels = labels_of({-100, 1}, device);
  const std::vector<float> loss =
      ops::linear_cross_entropy(rows, weight, labels).to_vector<float>();
  EXPECT_EQ(loss[0], 0);
  EXPECT_TRUE(std::isfinite(loss[1]));
  const Tensor one = Tensor::full({2}, 1, DType::kF32, device);
  const auto grads = linear_cross_entropy_backward_op()({rows, weight, labels, one, one},
                                                        LinearCrossEntropyAttrs{});
  for (float g : grads[1].to_vector<float>()) EXPECT_TRUE(std::isfinite(g));
  EXPECT_EQ(grads[0].to_vector<float>()[0], 0);
}

}  // namespace
}  // namespace yiti
