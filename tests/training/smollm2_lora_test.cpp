// Fifty LoRA steps on SmolLM2-135M-Instruct (Q4_1) against peft on its dequantised weights, in
// float32.
#include "models/lora.h"
#include "tests/smollm2.h"
#include "tests/training/fixture.h"
#include "training/data/jsonl.h"
#include "training/data/packing.h"

namespace yiti {
namespace {

const std::filesystem::path kData = YITI_TEST_DATA "/../../examples/data/yiti-qa";

// What tests/data/smollm2/lora50.py begins with.
Tensor initial_a(size_t layer, int64_t rank, int64_t width, const DevicePtr& device) {
  std::vector<float> values(static_cast<size_t>(rank * width));
  for (size_t i = 0; i < values.size(); ++i) {
    auto h = static_cast<uint32_t>(i + (layer << 16));
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    h ^= h >> 16;
    values[i] = static_cast<float>((h / 0x1p31 - 1) / std::sqrt(static_cast<double>(width)));
  }
  return Tensor::from(values, {rank, width}, device);
}

class SmolLM2Lora : public testing::Test {
 protected:
  void SetUp() override {
    YITI_SKIP_WITHOUT_SMOLLM2();
    case_ = read_json(YITI_TEST_DATA "/smollm2/lora50.json");
  }

  ModelPtr adapted(const LanguageModel& base) const {
    const auto rank = case_["rank"].get<int64_t>();
    const double scale = case_["alpha"].get<double>() / static_cast<double>(rank);
    std::vector<std::string> paths = lora_target_paths(base, {});
    std::sort(paths.begin(), paths.end());
    std::vector<LoraLayer> layers;
    for (const std::string& path : paths) {
      const Shape shape = (*base.store()->current())[base.store()->at(path + ".weight")].shape();
      layers.push_back({path, initial_a(layers.size(), rank, shape[1], base.device()),
                        Tensor::zeros({shape[0], rank}, DType::kF32, base.device()), scale});
    }
    return with_lora_layers(base, layers);
  }

  static std::vector<Example> examples(const char* name, const TextModel& text) {
    return make_examples(read_jsonl(kData / name), text).examples;
  }

  // The next chats of each step, in the file's order, round and round.
  std::vector<Batch> batches(const std::vector<Example>& examples, size_t count) const {
    const auto chats = case_["chats_per_step"].get<size_t>();
    std::vector<Batch> result;
    for (size_t i = 0; result.size() < count; i += chats) {
      std::vector<const Example*> some;
      for (size_t k = i; k < i + chats; ++k) some.push_back(&examples[k % examples.size()]);
      result.push_back(make_batch(some));
    }
    return result;
  }

  static std::vector<Batch> held_out(const TextModel& text) {
    std::vector<Batch> result;
    for (const Example& example : examples("heldout.jsonl", text)) {
      const Example* one = &example;
      result.push_back(make_batch({&one, 1}));
    }
    return result;
  }

  // Follows the fixture's steps and returns the largest relative difference of a step's loss.
  double train(LanguageTrainer& trainer, const std::vector<Batch>& steps) const {
    double worst = 0;
    for (size_t i = 0; i < steps.size(); ++i) {
      const StepResult step = trainer.step({&steps[i], 1}, case_["lr"].get<double>());
      EXPECT_EQ(step.trained_tokens, case_["trained_tokens"][i].get<int64_t>()) << "step " << i;
      const auto wanted = case_["losses"][i].get<double>();
      worst = std::max(worst, std::abs(step.loss / wanted - 1));
    }
    return worst;
  }

  // Held-out losses of before and after within `bound` of the fixture's, relatively; returns
  // train()'s.
  double expect_held_out_losses(const LoadOptions& options, double bound) const {
    const LoadedModel loaded =
        load_model(smollm2_path(), make_cpu_device({.threads = 2}), options).value();
    LanguageTrainerOptions trainer_options;
    trainer_options.optimizer.weight_decay = 0;
    LanguageTrainer trainer(adapted(*loaded.model), trainer_options);
    const std::vector<Batch> evaluation = held_out(*loaded.text);
    int64_t tokens = 0;
    for (const Batch& batch : evaluation) tokens += batch.trained_tokens;
    EXPECT_EQ(tokens, case_["held_out_tokens"].get<int64_t>());

    const auto expect_held_out = [&](const char* when) {
      const double loss = trainer.evaluate(evaluation);
      const double difference = loss / case_[when].get<double>() - 1;
      print_measured(when, loss);
      print_measured("relative difference", difference);
      EXPECT_LE(std::abs(difference), bound) << when;
      return loss;
    };
    const double before = expect_held_out("held_out_before");
    const double worst =
        train(trainer, batches(examples("train.jsonl", *loaded.text), case_["losses"].size()));
    print_measured("largest relative difference of a step's loss", worst);
    EXPECT_LT(expect_held_out("held_out_after"), 0.6 * before);
    return worst;
  }

  nlohmann::json case_;
};

TEST_F(SmolLM2Lora, QuantisedTrainingEndsWithinOnePerCentOfPeft) {
  expect_held_out_losses({}, 0.01);
}

TEST_F(SmolLM2Lora, ExactActivationsFollowPeft) {
  EXPECT_LE(expect_held_out_losses({.exact_activations = true, .kv = DType::kF32}, 1e-3), 1e-3);
}

}  // namespace
}  // namespace yiti
