// The C interface: generation, adapters and fine-tuning, and errors as codes.
#include <gtest/gtest.h>

#include <string>

#include "bindings/c/yiti.h"

namespace {

const std::string kModel = YITI_TEST_DATA "/tiny_chat";

int append(const char* text, size_t length, void* user) {
  static_cast<std::string*>(user)->append(text, length);
  return 0;
}

class CTest : public testing::Test {
 protected:
  ~CTest() override { yiti_free(base_); }

  std::string continued(const yiti_model* model) {
    std::string text;
    EXPECT_EQ(yiti_generate(model, "hello", &kGreedy, append, &text, &error_), YITI_OK)
        << error_.message;
    return text;
  }

  static constexpr yiti_generate_options kGreedy = {
      .max_tokens = 12, .temperature = 0, .top_p = 0, .seed = 0};
  static constexpr yiti_load_options kSmall = {.threads = 1, .max_tokens = 1024, .sequences = 2};
  yiti_error error_ = {};
  yiti_model* base_ = yiti_load(kModel.c_str(), &kSmall, &error_);
};

TEST_F(CTest, GeneratesTheSameTextAgain) {
  ASSERT_NE(base_, nullptr) << error_.message;
  const std::string once = continued(base_);
  EXPECT_EQ(continued(base_), once);
  std::string chat;
  EXPECT_EQ(
      yiti_chat(base_, R"([{"role": "user", "content": "hi"}])", &kGreedy, append, &chat, &error_),
      YITI_OK);
}

TEST_F(CTest, ACallbackEndsAGeneration) {
  int pieces = 0;
  const auto stop = [](const char*, size_t, void* user) { return ++*static_cast<int*>(user); };
  yiti_generate_options options = kGreedy;
  options.max_tokens = 400;
  EXPECT_EQ(yiti_generate(base_, "hello", &options, stop, &pieces, &error_), YITI_OK);
  EXPECT_LE(pieces, 1);
}

TEST_F(CTest, FineTunesAnAdapterAndKeepsIt) {
  const std::string plain = continued(base_);
  yiti_model* tuned = yiti_add_adapter(base_, nullptr, 4, &error_);
  ASSERT_NE(tuned, nullptr) << error_.message;
  EXPECT_EQ(continued(tuned), plain);
  char before[33], after[33];
  EXPECT_EQ(yiti_version(tuned, before), 0u);
  const std::string data = YITI_TEST_DATA "/../../examples/data/yiti-qa/train.jsonl";
  const yiti_fine_tune_options run = {.train_data = data.c_str(),
                                      .output = nullptr,
                                      .lr = 1e-2,
                                      .epochs = 0,
                                      .max_steps = 2,
                                      .batch_tokens = 0,
                                      .publish_every = 0};
  int64_t steps = 0;
  const auto count = [](const yiti_step* step, void* user) {
    *static_cast<int64_t*>(user) = step->step;
    return 0;
  };
  EXPECT_EQ(yiti_fine_tune(tuned, &run, count, &steps, &error_), YITI_OK) << error_.message;
  EXPECT_EQ(steps, 2);
  EXPECT_EQ(yiti_version(tuned, after), 1u);
  EXPECT_NE(std::string(before), after);
  const std::string folder = testing::TempDir() + "/yiti_c_adapter";
  EXPECT_EQ(yiti_save_adapter(tuned, folder.c_str(), &error_), YITI_OK) << error_.message;
  yiti_model* again = yiti_add_adapter(base_, folder.c_str(), 0, &error_);
  ASSERT_NE(again, nullptr) << error_.message;
  EXPECT_EQ(continued(again), continued(tuned));
  yiti_free(base_);
  base_ = nullptr;
  EXPECT_FALSE(continued(again).empty());
  yiti_free(again);
  yiti_free(tuned);
}

TEST_F(CTest, SaysWhatWasWrong) {
  EXPECT_EQ(yiti_load("missing.gguf", nullptr, &error_), nullptr);
  EXPECT_EQ(error_.code, YITI_NOT_FOUND);
  EXPECT_NE(std::string(error_.message).find("missing.gguf"), std::string::npos);
  EXPECT_EQ(yiti_load(nullptr, nullptr, nullptr), nullptr);
  EXPECT_EQ(yiti_generate(base_, nullptr, nullptr, nullptr, nullptr, &error_),
            YITI_INVALID_ARGUMENT);
  EXPECT_EQ(yiti_chat(base_, "{", nullptr, nullptr, nullptr, &error_), YITI_INVALID_ARGUMENT);
  EXPECT_EQ(yiti_save_adapter(base_, "/nowhere", &error_), YITI_FAILED_PRECONDITION);
  EXPECT_EQ(yiti_add_adapter(base_, "missing", 0, &error_), nullptr);
  const yiti_fine_tune_options run = {.train_data = "missing.jsonl",
                                      .output = nullptr,
                                      .lr = 0,
                                      .epochs = 0,
                                      .max_steps = 0,
                                      .batch_tokens = 0,
                                      .publish_every = 0};
  EXPECT_EQ(yiti_fine_tune(base_, &run, nullptr, nullptr, &error_), YITI_NOT_FOUND);
}

}  // namespace
