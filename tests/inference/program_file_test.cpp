// Saved programs run to the same bits; damaged ones give errors.
#include "inference/program_file.h"

#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <random>

#include "core/io/files.h"
#include "inference/language_session.h"
#include "models/loader.h"
#include "tests/inference/capped_device.h"
#include "tests/smollm2.h"

namespace yiti {
namespace {

const LanguageSessionOptions kOptions{
    .max_tokens = 128, .max_sequences = 2, .max_batch_tokens = 16};

Program captured(const LanguageModel& model) {
  const KvCache cache(model.config(), model.profile().kv, 2, model.device());
  return capture_session(model, cache, kOptions, 128);
}

std::string saved(const Program& program) {
  const std::string path = testing::TempDir() + "/program_file_test.yiti";
  save_program(path, program);
  std::string bytes = read_file(path, size_t{1} << 30);
  std::filesystem::remove(path);
  return bytes;
}

// Logits of five tokens that make a sequence of their own.
std::vector<float> run(Program program, const LanguageModel& model) {
  Session session(std::move(program));
  constexpr int64_t kTokens = 5;
  for (int64_t i = 0; i < kTokens; ++i) {
    session.input(0).data<int32_t>()[i] = static_cast<int32_t>(3 + 2 * i);
    session.input(1).data<int32_t>()[i] = static_cast<int32_t>(i);
    session.input(2).data<int64_t>()[i] = i;
    session.input(3).data<int32_t>()[i] = 0;
    session.input(4).data<int64_t>()[i] = i;
  }
  const VersionPtr version = model.store()->current();
  const std::array<int64_t, 3> sizes{kTokens, kTokens, 0};
  session.run(sizes, version.get());
  return session.output(0).to_vector<float>();
}

ModelPtr tiny_model(const DevicePtr& device) {
  return load_model(YITI_TEST_DATA "/tiny/llama-gqa-tied", device).value().model;
}

void expect_same_bits(const LanguageModel& model) {
  const Program program = captured(model);
  const std::vector<float> wanted = run(program, model);
  const std::string bytes = saved(program);
  Program loaded = parse_program(bytes, "memory", model.device(), model.store().get());
  EXPECT_EQ(loaded.str(), program.str());
  EXPECT_EQ(saved(loaded), bytes);
  const std::vector<float> got = run(std::move(loaded), model);
  ASSERT_EQ(got.size(), wanted.size());
  EXPECT_EQ(std::memcmp(got.data(), wanted.data(), got.size() * sizeof(float)), 0);
}

TEST(ProgramFile, RunsToTheSameBitsAsWhatWasSaved) {
  expect_same_bits(*tiny_model(make_cpu_device({.threads = 2})));
}

TEST(ProgramFile, RunsToTheSameBitsOnQuantisedWeights) {
  YITI_SKIP_WITHOUT_SMOLLM2();
  expect_same_bits(*load_model(smollm2_path(), make_cpu_device({.threads = 2})).value().model);
}

TEST(ProgramFile, NamesAParameterThatIsMissing) {
  const ModelPtr model = tiny_model(make_cpu_device({.threads = 1}));
  const std::string bytes = saved(captured(*model));
  try {
    (void)parse_program(bytes, "memory", model->device());
    FAIL() << "read without parameters";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("model."));
  }
}

// Reads damaged bytes on a device with little memory, and prepares what still reads as a program.
class Damage : public testing::Test {
 protected:
  void SetUp() override {
    device_ = std::make_shared<CappedDevice>(make_cpu_device({.threads = 1}), size_t{64} << 20);
    model_ = tiny_model(device_);
    bytes_ = saved(captured(*model_));
  }

  bool reads(const std::string& bytes) const {
    try {
      const Session session(parse_program(bytes, "memory", device_, model_->store().get()));
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  DevicePtr device_;
  ModelPtr model_;
  std::string bytes_;
};

TEST_F(Damage, OfTruncationNeverCrashes) {
  ASSERT_TRUE(reads(bytes_));
  for (size_t length = 0; length < bytes_.size(); length += 1 + bytes_.size() / 1000) {
    (void)reads(bytes_.substr(0, length));
  }
  EXPECT_FALSE(reads(""));
  EXPECT_FALSE(reads(bytes_.substr(0, bytes_.size() - 1)));
}

TEST_F(Damage, OfSingleBitsNeverCrashes) {
  std::mt19937_64 random(5);
  for (size_t at = 0; at < bytes_.size(); at += 1 + random() % 3) {
    std::string damaged = bytes_;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    (void)reads(damaged);
  }
}

TEST_F(Damage, OfManyBytesNeverCrashes) {
  std::mt19937_64 random(6);
  for (int round = 0; round < 300; ++round) {
    std::string damaged = bytes_;
    for (size_t i = 0; i < 4; ++i) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    (void)reads(damaged);
  }
}

}  // namespace
}  // namespace yiti
