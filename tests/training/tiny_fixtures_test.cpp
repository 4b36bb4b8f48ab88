// Small random models against transformers, peft and torch (tests/data/README.md).
#include "inference/language_session.h"
#include "models/lora.h"
#include "models/peft.h"
#include "tests/test_device.h"
#include "tests/training/fixture.h"

namespace yiti {
namespace {

class TinyFixture : public testing::TestWithParam<const char*> {
 protected:
  TinyFixture()
      : folder_(std::string(YITI_TEST_DATA "/tiny/") + GetParam()),
        case_(read_json(folder_ + "/case.json")),
        device_(test_device(2)),
        expected_(SafetensorsFile::open(folder_ + "/expected.safetensors", device_)),
        model_(load_model(folder_, device_).value().model),
        batch_(batch_of(expected_->tensor("input_ids"))) {}

  std::vector<float> expected(const std::string& name) const {
    return expected_->tensor(name).to_vector<float>();
  }

  void expect_gradients(const LanguageTrainer& trainer, const std::string& prefix,
                        const std::string& name_prefix) const {
    int count = 0;
    for (const std::string& name : trainer.names()) {
      if (expected_->find(prefix + name_prefix + name) == nullptr) continue;
      const std::vector<float> wanted = expected(prefix + name_prefix + name);
      std::vector<float> got = trainer.last_gradient(name).to_vector<float>();
      for (float& x : got) x /= static_cast<float>(batch_.trained_tokens);
      EXPECT_LE(largest_difference(got, wanted), 1e-4f * largest_magnitude(wanted)) << name;
      ++count;
    }
    EXPECT_GE(count, 11);  // the fixtures hold a model's gradients, or an adapter's first layer's
  }

  // Ten steps of AdamW, with the losses before each update.
  void expect_losses(LanguageTrainer& trainer, const nlohmann::json& run) const {
    for (const nlohmann::json& loss : run["losses"]) {
      const StepResult step = trainer.step({&batch_, 1}, run["lr"].get<double>());
      EXPECT_NEAR(step.loss, loss.get<double>(), 1e-4);
    }
  }

  static LanguageTrainerOptions options(const nlohmann::json& run) {
    LanguageTrainerOptions wanted;
    wanted.max_grad_norm = 0;
    wanted.optimizer = {.beta1 = run["betas"][0],
                        .beta2 = run["betas"][1],
                        .eps = run["eps"],
                        .weight_decay = run["weight_decay"]};
    return wanted;
  }

  std::string folder_;
  nlohmann::json case_;
  DevicePtr device_;
  std::shared_ptr<const SafetensorsFile> expected_;
  ModelPtr model_;
  Batch batch_;
};

TEST_P(TinyFixture, LogitsAreThoseOfTransformers) {
  const std::vector<float> logits = training_logits(*model_, batch_).to_vector<float>();
  EXPECT_LE(largest_difference(logits, expected("logits")), 1e-4f);
}

TEST_P(TinyFixture, GradientsAreThoseOfTorch) {
  LanguageTrainer trainer(model_, options(case_["full"]["adamw"]));
  const StepResult step = trainer.step({&batch_, 1}, 1e-3);
  EXPECT_NEAR(step.loss, case_["loss"].get<double>(), 1e-5);
  expect_gradients(trainer, "grad.", "");
}

TEST_P(TinyFixture, FullFineTuningFollowsTorch) {
  LanguageTrainer trainer(model_, options(case_["full"]["adamw"]));
  expect_losses(trainer, case_["full"]["adamw"]);
  const VersionPtr version = trainer.publish();
  for (const std::string& name : trainer.names()) {
    if (expected_->find("trained." + name) == nullptr) continue;
    const std::vector<float> wanted = expected("trained." + name);
    const std::vector<float> got = (*version)[model_->store()->at(name)].to_vector<float>();
    // An element whose gradient is near zero moves by ±lr on rounding alone.
    EXPECT_LE(largest_difference(got, wanted), 2e-3f) << name;
  }
}

TEST_P(TinyFixture, AdapterLogitsAndGradientsAreThoseOfPeft) {
  const ModelPtr adapted = load_peft(*model_, folder_ + "/adapter");
  const std::vector<float> logits = training_logits(*adapted, batch_).to_vector<float>();
  EXPECT_LE(largest_difference(logits, expected("lora.logits")), 1e-4f);
  LanguageTrainer trainer(adapted, options(case_["lora"]["adamw"]));
  trainer.step({&batch_, 1}, 1e-3);
  expect_gradients(trainer, "lora.grad.", "base_model.model.");
}

TEST_P(TinyFixture, AdapterTrainingFollowsPeft) {
  LanguageTrainer trainer(load_peft(*model_, folder_ + "/adapter"),
                          options(case_["lora"]["adamw"]));
  expect_losses(trainer, case_["lora"]["adamw"]);
}

TEST_P(TinyFixture, RecomputedLayersGiveTheSameBits) {
  LanguageTrainerOptions kept = options(case_["full"]["adamw"]);
  LanguageTrainerOptions recomputed = kept;
  recomputed.recompute_layers = true;
  LanguageTrainer a(model_, kept), b(model_, recomputed);
  a.step({&batch_, 1}, 1e-3);
  b.step({&batch_, 1}, 1e-3);
  for (const std::string& name : a.names()) {
    EXPECT_EQ(a.last_gradient(name).to_vector<float>(), b.last_gradient(name).to_vector<float>())
        << name;
  }
}

TEST_P(TinyFixture, GreedyTokensAreThoseOfTransformers) {
  LanguageSession session(model_, {.max_tokens = 256});
  const auto prompt = case_["greedy"]["prompt"].get<std::vector<int32_t>>();
  const SequenceId sequence = session.open();
  std::span<const float> logits = session.prefill(sequence, prompt);
  std::vector<int32_t> tokens;
  while (tokens.size() < case_["greedy"]["tokens"].size()) {
    const auto best = std::max_element(logits.begin(), logits.end());
    tokens.push_back(static_cast<int32_t>(best - logits.begin()));
    logits = session.decode(sequence, tokens.back());
  }
  EXPECT_EQ(tokens, case_["greedy"]["tokens"].get<std::vector<int32_t>>());
}

INSTANTIATE_TEST_SUITE_P(Models, TinyFixture,
                         testing::Values("llama-gqa-tied", "llama3-rope", "mistral-window",
                                         "qwen2-bias", "qwen3-qknorm"));

}  // namespace
}  // namespace yiti
