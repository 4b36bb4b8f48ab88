// Serving and training in one process have the base weights in memory once.
#include <malloc.h>

#include <fstream>
#include <iostream>
#include <sstream>

#include "inference/scheduler.h"
#include "models/lora.h"
#include "tests/smollm2.h"
#include "tests/training/fixture.h"

namespace yiti {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

// What the process's memory maps say, in bytes.
struct Resident {
  int64_t total = 0;
  int64_t anonymous = 0;
  int64_t of_file = 0;  // pages of the model file
};

Resident resident(const std::string& file) {
  malloc_trim(0);  // freed memory that the allocator keeps is no copy of anything
  Resident sum;
  bool ours = false;
  std::ifstream maps("/proc/self/smaps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string key;
    int64_t kib = 0;
    words >> key;
    if (key.find('-') != std::string::npos) ours = line.ends_with("/" + file);
    if (!(words >> kib)) continue;
    if (key == "Rss:") sum.total += kib * 1024;
    if (key == "Rss:" && ours) sum.of_file += kib * 1024;
    if (key == "Anonymous:") sum.anonymous += kib * 1024;
  }
  return sum;
}

int64_t weight_bytes(const LanguageModel& model) {
  int64_t bytes = 0;
  for (const Tensor& tensor : model.store()->current()->tensors()) {
    bytes += static_cast<int64_t>(tensor.bytes());
  }
  return bytes;
}

Batch short_batch(const LanguageModel& model) {
  return batch_of(Tensor::from(
      std::vector<int32_t>{1, 504, 2988, 314, 42, 216, 34, 32, 33, 40, 29, 32, 33, 29, 34, 34},
      {1, 16}, model.device()));
}

TEST(OneCopy, TheBaseWeightsAreResidentOnce) {
  YITI_SKIP_WITHOUT_SMOLLM2();
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers keep memory of their own";
#endif
  const std::string file = std::filesystem::path(smollm2_path()).filename().string();
  const Resident empty = resident(file);
  const LoadedModel loaded =
      load_model(smollm2_path(), make_cpu_device({.threads = 2, .cache_bytes = 0})).value();
  const LanguageModel& base = *loaded.model;
  const int64_t weights = weight_bytes(base);
  const Resident packed = resident(file);

  const ModelPtr model = with_lora(base, {.rank = 2, .targets = {"q_proj"}});
  LanguageTrainer trainer(model, {});
  BatchScheduler scheduler(model, {.session = {.max_tokens = 512, .max_batch_tokens = 32}});
  const Batch batch = short_batch(base);
  GenerateRequest request;
  request.prompt = batch.tokens;
  request.max_tokens = 8;
  ASSERT_TRUE(scheduler.generate(request).ok());
  trainer.step({&batch, 1}, 1e-3);
  trainer.publish();
  ASSERT_TRUE(scheduler.generate(request).ok());
  const Resident running = resident(file);

  const int64_t growth = running.anonymous - packed.anonymous;
  std::cout << "MiB: weights " << weights / kMiB << ", loading "
            << (packed.total - empty.total) / kMiB << ", serving and training " << growth / kMiB
            << ", pages of the file " << running.of_file / kMiB << "\n";
  EXPECT_GT(weights, 80 * kMiB);
  // Packed, they are anonymous memory: the file's pages went, but for norms and metadata.
  EXPECT_GE(packed.anonymous - empty.anonymous, weights * 9 / 10);
  EXPECT_LE(running.of_file, 8 * kMiB);
  // Less than a copy of the largest tensor alone, with its arena, cache and activations.
  EXPECT_LT(growth, 24 * kMiB);
}

TEST(OneCopy, TrainerAndSessionsShareTheBaseTensors) {
  YITI_SKIP_WITHOUT_SMOLLM2();
  const LoadedModel loaded = load_model(smollm2_path(), make_cpu_device({.threads = 2})).value();
  const ModelPtr model = with_lora(*loaded.model, {.rank = 2, .targets = {"q_proj"}});
  LanguageTrainer trainer(model, {});
  const LanguageSession session(model, {.max_tokens = 512});
  const Batch batch = short_batch(*model);
  trainer.step({&batch, 1}, 1e-3);
  const VersionPtr before = loaded.model->store()->current(), after = trainer.publish();
  for (const std::string& name : loaded.model->store()->names()) {
    const Tensor& own = (*before)[loaded.model->store()->at(name)];
    EXPECT_TRUE(own.same_memory((*after)[model->store()->at(name)])) << name;
  }
  // Whatever the session's program holds as a constant is no matrix of weights.
  for (const ProgramValue& value : session.program_session().program().values) {
    if (value.kind != ProgramValue::Kind::kConstant) continue;
    EXPECT_LE(value.tensor.bytes(), size_t{64} << 10) << value.name;
  }
}

}  // namespace
}  // namespace yiti
