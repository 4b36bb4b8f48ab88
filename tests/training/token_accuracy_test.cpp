#include "training/token_accuracy.h"

#include "models/lora.h"
#include "tests/training/fixture.h"

namespace yiti {
namespace {

TEST(TokenAccuracyTest, CountsTheLabelsThatAreTheMostLikelyTokens) {
  const ModelPtr model =
      with_lora(*load_model(YITI_TEST_DATA "/tiny/llama-gqa-tied", make_cpu_device({.threads = 2}))
                     .value()
                     .model,
                {.rank = 2});
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 80; ++i) ids.push_back((i * 37 + 5) % 160);
  Batch batch = batch_of(Tensor::from(ids, {2, 40}, model->device()));
  const std::vector<float> logits = training_logits(*model, batch).to_vector<float>();
  const auto best = [&](size_t t) {
    const auto row = logits.begin() + static_cast<std::ptrdiff_t>(t) * 160;
    return static_cast<int32_t>(std::max_element(row, row + 160) - row);
  };
  // Half of the labels are what the model says.
  int64_t right = 0, total = 0;
  for (size_t t = 0; t < batch.labels.size(); ++t) {
    if (batch.labels[t] == kIgnoredLabel) continue;
    if (t % 2 == 0) batch.labels[t] = best(t);
    right += batch.labels[t] == best(t) ? 1 : 0;
    ++total;
  }
  LanguageTrainer trainer(model, {}), plain(model, {});
  TokenAccuracy evaluated, stepped;
  trainer.evaluate({&batch, 1}, &evaluated);
  EXPECT_EQ(evaluated.right, right);
  EXPECT_EQ(evaluated.total, total);
  EXPECT_GE(*evaluated.mean(), 0.5);
  // Counting changes no bit of the step.
  EXPECT_EQ(trainer.step({&batch, 1}, 1e-2, &stepped).grad_norm,
            plain.step({&batch, 1}, 1e-2).grad_norm);
  EXPECT_EQ(stepped.right, right);
  EXPECT_EQ(trainer.publish()->fingerprint(), plain.publish()->fingerprint());
  EXPECT_FALSE(TokenAccuracy().mean());
}

}  // namespace
}  // namespace yiti
