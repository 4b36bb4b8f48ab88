#include "models/config.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace yiti {
namespace {

ModelConfig small() {
  ModelConfig config;
  config.head_dim = 16;
  config.context_length = 256;
  return config;
}

TEST(RopeScaling, LinearDividesAllFrequencies) {
  const ModelConfig scaled = with_rope_scaling(small(), "linear", 8);
  EXPECT_EQ(scaled.context_length, 2048);
  const std::vector<float> before = rope_frequencies(small()), after = rope_frequencies(scaled);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_FLOAT_EQ(after[i], before[i] / 8);
  EXPECT_EQ(rope_attention_factor(scaled), 1);
}

TEST(RopeScaling, YarnKeepsFastFrequenciesAndDividesSlowOnes) {
  const ModelConfig scaled = with_rope_scaling(small(), "yarn", 8);
  const std::vector<float> before = rope_frequencies(small()), after = rope_frequencies(scaled);
  EXPECT_EQ(after.front(), before.front());
  EXPECT_FLOAT_EQ(after.back(), before.back() / 8);
  EXPECT_NEAR(rope_attention_factor(scaled), 1.2079441541679836, 1e-12);  // 0.1 ln 8 + 1
}

TEST(RopeScaling, IsOfTheContextThatTheModelWasTrainedOn) {
  const ModelConfig twice = with_rope_scaling(with_rope_scaling(small(), "yarn", 2), "yarn", 4);
  EXPECT_EQ(twice.context_length, 1024);
  EXPECT_NE(twice.str(), small().str());
  EXPECT_EQ(twice.str(), with_rope_scaling(small(), "yarn", 4).str());
}

TEST(RopeScaling, RefusesWhatMakesNoSense) {
  EXPECT_THROW(with_rope_scaling(small(), "llama3", 2), Error);
  EXPECT_THROW(with_rope_scaling(small(), "yarn", 0.5), Error);
  EXPECT_THROW(with_rope_scaling(small(), "yarn", 1e9), Error);
}

}  // namespace
}  // namespace yiti
