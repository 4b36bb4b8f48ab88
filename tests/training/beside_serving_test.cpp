// Training that shares the cores with requests makes the adapter that it makes alone.
#include <atomic>
#include <thread>

#include "inference/scheduler.h"
#include "models/lora.h"
#include "tests/training/fixture.h"

namespace yiti {
namespace {

constexpr int kSteps = 8;

ModelPtr adapted() {
  const ModelPtr base =
      load_model(YITI_TEST_DATA "/tiny/llama-gqa-tied", make_cpu_device({.threads = 2}))
          .value()
          .model;
  return with_lora(*base, {.rank = 4});
}

// Step `step`'s rows of 64 tokens.
Batch batch_of_step(const LanguageModel& model, int step) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 256; ++i) ids.push_back((i * 37 + step * 11 + 5) % 160);
  return batch_of(Tensor::from(ids, {4, 64}, model.device()));
}

// The version that each step publishes, by what is in it.
std::vector<std::string> train(const ModelPtr& model, std::shared_ptr<Gate> gate) {
  LanguageTrainerOptions options;
  options.gate = std::move(gate);
  LanguageTrainer trainer(model, options);
  std::vector<std::string> fingerprints;
  for (int step = 0; step < kSteps; ++step) {
    const Batch batch = batch_of_step(*model, step);
    trainer.step({&batch, 1}, 1e-2);
    fingerprints.push_back(trainer.publish()->fingerprint());
  }
  return fingerprints;
}

TEST(TrainingBesideServing, ChangesNoBitOfTheAdapter) {
  const std::vector<std::string> alone = train(adapted(), nullptr);

  const ModelPtr model = adapted();
  const auto gate = std::make_shared<Gate>(GateOptions{.train_share = 0.25, .cores = 2});
  BatchScheduler scheduler(model, {.session = {.max_tokens = 1024}, .gate = gate});
  std::atomic<bool> trained{false};
  std::atomic<int> tokens{0};
  const auto count = [&](const GeneratedToken&) {
    ++tokens;
    return true;
  };
  std::vector<std::thread> clients;
  for (int client = 0; client < 3; ++client) {
    clients.emplace_back([&, client] {
      while (!trained) {
        const GenerateRequest request = {.prompt = {5 + client, 18, 68}, .max_tokens = 32};
        EXPECT_TRUE(scheduler.generate(request, count).ok());
      }
    });
  }
  while (tokens == 0) std::this_thread::yield();
  const int before = tokens;
  const std::vector<std::string> beside = train(model, gate);
  const int during = tokens - before;
  trained = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(beside, alone);
  EXPECT_GT(during, 0);
}

}  // namespace
}  // namespace yiti
