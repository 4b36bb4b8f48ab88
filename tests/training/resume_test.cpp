// A run that was interrupted goes on with the same bits.
#include <cstring>
#include <fstream>

#include "core/error.h"
#include "models/lora.h"
#include "models/peft.h"
#include "tests/smollm2.h"
#include "tests/training/fixture.h"
#include "training/checkpoint.h"
#include "training/fine_tune.h"

namespace yiti {
namespace {

namespace fs = std::filesystem;

// An empty folder of the running test's own.
fs::path fresh_folder() {
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string(test.test_suite_name()) + "." + test.name();
  std::replace(name.begin(), name.end(), '/', '_');
  const fs::path folder = fs::path(testing::TempDir()) / ("yiti_" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

void expect_same_state(const LanguageTrainer& a, const LanguageTrainer& b) {
  EXPECT_EQ(a.steps(), b.steps());
  const auto left = a.state(), right = b.state();
  ASSERT_EQ(left.size(), right.size());
  for (size_t i = 0; i < left.size(); ++i) {
    const std::vector<float> x = left[i].second.to_vector<float>();
    const std::vector<float> y = right[i].second.to_vector<float>();
    ASSERT_EQ(x.size(), y.size());
    EXPECT_EQ(std::memcmp(x.data(), y.data(), x.size() * sizeof(float)), 0) << left[i].first;
  }
}

void flip_byte(const fs::path& path, int64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(offset);
  const auto byte = static_cast<char>(file.get() ^ 0x10);
  file.seekp(offset);
  file.put(byte);
}

// Adapter (true) or everything (false).
class Resume : public testing::TestWithParam<bool> {
 protected:
  static ModelPtr load() {
    const ModelPtr base =
        load_model(YITI_TEST_DATA "/tiny/qwen2-bias", make_cpu_device({.threads = 2}))
            .value()
            .model;
    return GetParam() ? with_lora(*base, {.rank = 4, .seed = 3}) : base;
  }

  // Twelve documents, two in each batch, in another order each epoch.
  static std::shared_ptr<const PackedData> data() {
    std::vector<Example> examples(12);
    for (size_t i = 0; i < examples.size(); ++i) {
      for (size_t t = 0; t < 12 + i % 3; ++t) {
        examples[i].tokens.push_back(static_cast<int32_t>((i * 31 + t * 7 + 3) % 160));
        examples[i].trained.push_back(t > 2 ? 1 : 0);
      }
    }
    return std::make_shared<PackedData>(std::move(examples),
                                        PackingOptions{.batch_tokens = 30, .seed = 5});
  }

  static void train(LanguageTrainer& trainer, BatchStream& stream, int steps) {
    for (int i = 0; i < steps; ++i) {
      const Batch micro[] = {stream.next(), stream.next()};
      trainer.step(micro, 1e-2 / static_cast<double>(trainer.steps() + 1));
    }
  }
};

TEST_P(Resume, TenStepsAreFiveAndFive) {
  const fs::path folder = fresh_folder() / "checkpoint-5";
  LanguageTrainer whole(load(), {});
  BatchStream whole_stream(data());
  train(whole, whole_stream, 10);

  {
    LanguageTrainer first(load(), {});
    BatchStream stream(data());
    train(first, stream, 5);
    save_checkpoint(folder, first,
                    {.position = stream.position(), .tokens_seen = 17, .data_hash = "abc"});
  }
  LanguageTrainer second(load(), {});
  const Resumed resumed = load_checkpoint(folder, second);
  EXPECT_TRUE(resumed.warnings.empty());
  EXPECT_EQ(resumed.state.tokens_seen, 17);
  EXPECT_EQ(resumed.state.data_hash, "abc");
  BatchStream stream(data(), resumed.state.position);
  train(second, stream, 5);
  expect_same_state(second, whole);
  EXPECT_EQ(second.publish()->fingerprint(), whole.publish()->fingerprint());
}

TEST_P(Resume, ADamagedCheckpointIsNamed) {
  const fs::path output = fresh_folder();
  LanguageTrainer trainer(load(), {});
  const auto error_after = [&](const char* file, const std::function<void(const fs::path&)>& harm) {
    const fs::path folder = output / "checkpoint-0";
    save_checkpoint(folder, trainer, {});
    harm(folder / file);
    const auto result =
        capture_errors("test", [&] { return load_checkpoint(folder, trainer).state.tokens_seen; });
    EXPECT_FALSE(result.ok());
    return result.ok() ? Error(Code::kInternal, "test", "no error") : result.error();
  };
  const auto truncate = [](const fs::path& path) {
    fs::resize_file(path, fs::file_size(path) / 2);
  };
  const auto flip = [](const fs::path& path) {
    flip_byte(path, static_cast<int64_t>(fs::file_size(path)) - 5);
  };
  const auto remove = [](const fs::path& path) { fs::remove(path); };
  for (const char* file : {"state.safetensors", "checkpoint.pb"}) {
    EXPECT_EQ(error_after(file, truncate).code(), Code::kDataLoss) << file;
    EXPECT_EQ(error_after(file, remove).code(), Code::kNotFound) << file;
  }
  const Error flipped = error_after("state.safetensors", flip);
  EXPECT_EQ(flipped.code(), Code::kDataLoss);
  EXPECT_NE(std::string(flipped.what()).find("state.safetensors"), std::string::npos);
}

TEST_P(Resume, AnotherModelsCheckpointIsRefused) {
  const fs::path folder = fresh_folder() / "checkpoint-0";
  save_checkpoint(folder, LanguageTrainer(load(), {}), {});
  const ModelPtr other =
      load_model(YITI_TEST_DATA "/tiny/llama-gqa-tied", make_cpu_device({.threads = 2}))
          .value()
          .model;
  LanguageTrainer trainer(other, {});
  const auto result =
      capture_errors("test", [&] { return load_checkpoint(folder, trainer).state.tokens_seen; });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kInvalidArgument);
}

TEST_P(Resume, TheLatestCheckpointHasTheHighestStep) {
  const fs::path output = fresh_folder();
  EXPECT_EQ(latest_checkpoint(output), fs::path());
  EXPECT_EQ(latest_checkpoint(output / "missing"), fs::path());
  LanguageTrainer trainer(load(), {});
  for (const char* name : {"checkpoint-9", "checkpoint-10", "checkpoint-11x", "checkpoint-"}) {
    save_checkpoint(output / name, trainer, {});
  }
  fs::create_directories(output / "checkpoint-12");  // without a manifest
  EXPECT_EQ(latest_checkpoint(output), output / "checkpoint-10");
}

INSTANTIATE_TEST_SUITE_P(Trains, Resume, testing::Bool(),
                         [](const auto& test) { return test.param ? "adapter" : "everything"; });

// SmolLM2's text side over the real model: short rows, few steps.
class FineTune : public testing::Test {
 protected:
  void SetUp() override {
    YITI_SKIP_WITHOUT_SMOLLM2();
    folder_ = fresh_folder();
    std::ofstream file(folder_ / "train.jsonl");
    for (int i = 0; i < 12; ++i) {
      file << R"({"messages": [{"role": "user", "content": "What is )" << i
           << R"( and one?"}, {"role": "assistant", "content": "It is )" << i + 1 << R"(."}]})"
           << "\n";
    }
  }

  static LoadedModel load() {
    return load_model(smollm2_path(), make_cpu_device({.threads = 2})).value();
  }
  static ModelPtr adapted(const LoadedModel& loaded) {
    return with_lora(*loaded.model, {.rank = 2, .alpha = 4, .targets = {"q_proj"}, .seed = 1});
  }

  FineTuneOptions options(const std::string& output) const {
    FineTuneOptions wanted;
    wanted.train_data = folder_ / "train.jsonl";
    wanted.eval_fraction = 0.2;
    wanted.batch_tokens = 96;
    wanted.max_steps = 4;
    wanted.schedule.lr = 1e-3;
    wanted.output = folder_ / output;
    wanted.base_name = "SmolLM2";
    return wanted;
  }

  static std::vector<nlohmann::json> log_lines(const fs::path& path) {
    std::vector<nlohmann::json> lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  static Batch probe() {
    return batch_of(Tensor::from(std::vector<int32_t>{1, 504, 2988, 314, 42, 216}, {1, 6},
                                 make_cpu_device({})));
  }

  fs::path folder_;
};

TEST_F(FineTune, WritesAnAdapterALogAndACurve) {
  const LoadedModel loaded = load();
  const ModelPtr model = adapted(loaded);
  int steps = 0;
  FineTuneEvents events;
  events.step = [&](const Progress& progress) { EXPECT_EQ(progress.step, ++steps); };
  const FineTuneResult result = fine_tune(model, *loaded.text, options("run"), events).value();
  EXPECT_EQ(steps, 4);
  EXPECT_EQ(result.steps, 4);
  ASSERT_TRUE(result.eval_before && result.eval_after);
  EXPECT_LT(*result.eval_after, *result.eval_before);

  const ModelPtr again = load_peft(*loaded.model, result.adapter.string());
  EXPECT_EQ(training_logits(*again, probe()).to_vector<float>(),
            training_logits(*model, probe()).to_vector<float>());

  const std::vector<nlohmann::json> lines = log_lines(folder_ / "run/log.jsonl");
  ASSERT_EQ(lines.size(), 6u);  // evaluation, four steps, evaluation
  EXPECT_EQ(lines.front()["eval_loss"], *result.eval_before);
  EXPECT_EQ(lines[1]["step"], 1);
  EXPECT_EQ(lines[1]["loss"], result.first_loss);
  EXPECT_EQ(lines[4]["loss"], result.last_loss);
  EXPECT_EQ(lines.back()["eval_loss"], *result.eval_after);
  EXPECT_NE(read_file(result.curve.string(), size_t{1} << 20).find("<svg"), std::string::npos);
}

TEST_F(FineTune, AResumedRunEndsWithTheSameBits) {
  const LoadedModel loaded = load();
  FineTuneOptions wanted = options("whole");
  const FineTuneResult whole = fine_tune(adapted(loaded), *loaded.text, wanted).value();

  wanted = options("parts");
  wanted.checkpoint_every = 2;
  std::atomic<bool> stop{false};
  FineTuneEvents events;
  events.step = [&](const Progress& progress) { stop = progress.step == 3; };
  const FineTuneResult first =
      fine_tune(adapted(loaded), *loaded.text, wanted, events, &stop).value();
  EXPECT_TRUE(first.stopped);
  EXPECT_EQ(first.steps, 3);
  fs::remove_all(folder_ / "parts/checkpoint-3");  // as if it had been killed after step 2's
  wanted.resume = true;
  const FineTuneResult second = fine_tune(adapted(loaded), *loaded.text, wanted).value();
  EXPECT_EQ(second.steps, 2);
  EXPECT_EQ(second.version->fingerprint(), whole.version->fingerprint());
  EXPECT_EQ(*second.eval_after, *whole.eval_after);
  EXPECT_EQ(second.last_loss, whole.last_loss);
}

TEST_F(FineTune, OtherTrainingDataCannotResume) {
  const LoadedModel loaded = load();
  FineTuneOptions wanted = options("run");
  wanted.max_steps = 1;
  wanted.checkpoint_every = 1;
  ASSERT_TRUE(fine_tune(adapted(loaded), *loaded.text, wanted).ok());
  std::ofstream(folder_ / "train.jsonl", std::ios::app)
      << R"({"messages": [)"
      << R"({"role": "user", "content": "More?"}, {"role": "assistant", "content": "Yes."}]})";
  wanted.resume = true;
  const auto result = fine_tune(adapted(loaded), *loaded.text, wanted);
  ASSERT_FALSE(result.ok());
}

}  // namespace
}  // namespace yiti
