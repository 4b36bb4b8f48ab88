#include "models/text/text_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/io/files.h"
#include "core/io/gguf_metadata.h"
#include "tests/models/text/fixtures.h"

namespace yiti {
namespace {

using nlohmann::ordered_json;
using test::read_data;
using testing::ElementsAre;
using testing::HasSubstr;

class TextModelFolder : public testing::Test {
 protected:
  TextModelFolder()
      : folder_(std::filesystem::path(testing::TempDir()) /
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    put("tokenizer.json", read_data("tokenizers/llama3.json"));
    put("tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": "</s>"})");
  }
  ~TextModelFolder() override { std::filesystem::remove_all(folder_); }

  void put(const std::string& name, const std::string& text) const {
    write_file_atomically((folder_ / name).string(), text);
  }
  TextModel load() const { return load_text_model(folder_).value(); }

  std::filesystem::path folder_;
};

const ordered_json kChat = ordered_json::parse(
    R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "I am <fine>"}])");

TEST_F(TextModelFolder, LoadsTokenizerTemplateStopsAndSampling) {
  put("chat_template.jinja", read_data("chat/chatml.jinja"));
  put("generation_config.json",
      R"({"do_sample": true, "temperature": 0.6, "top_p": 0.9, "eos_token_id": [1, 7, 99999]})");
  const TextModel model = load();
  const Tokenizer& t = model.tokenizer;
  EXPECT_THAT(model.stop_tokens,
              testing::UnorderedElementsAre(1, 7, t.find("</s>"), t.find("<|im_end|>")));
  EXPECT_DOUBLE_EQ(model.sampling.temperature, 0.6);
  EXPECT_DOUBLE_EQ(model.sampling.top_p, 0.9);
  EXPECT_EQ(model.sampling.top_k, 50);
  EXPECT_TRUE(model.tokenizer.adds_bos());
  const std::vector<int32_t> prompt = model.chat_prompt(kChat);
  EXPECT_EQ(t.decode(prompt, false),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nI am <fine><|im_end|>\n"
            "<|im_start|>assistant\n");
}

TEST_F(TextModelFolder, MarksTheTokensThatTheAssistantSays) {
  put("chat_template.jinja", read_data("chat/chatml.jinja"));
  const TextModel model = load();
  const TokenizedChat chat = model.tokenize_chat(kChat);
  std::vector<int32_t> said, rest;
  ASSERT_EQ(chat.ids.size(), chat.assistant.size());
  for (size_t i = 0; i < chat.ids.size(); ++i) {
    (chat.assistant[i] ? said : rest).push_back(chat.ids[i]);
  }
  EXPECT_EQ(model.tokenizer.decode(said, false), "I am <fine><|im_end|>");
  EXPECT_EQ(model.tokenizer.decode(rest, false),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n\n");
}

TEST_F(TextModelFolder, TakesTheTemplateFromTheConfiguration) {
  put("tokenizer_config.json", R"({"chat_template": "{{ messages|length }}"})");
  EXPECT_EQ(load().chat->render(kChat), "2");
  put("tokenizer_config.json",
      R"({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]})");
  EXPECT_EQ(load().chat->render(kChat), "d");
}

TEST_F(TextModelFolder, LoadsWithoutATemplateAndSaysSoWhenItIsWanted) {
  const TextModel model = load();
  EXPECT_FALSE(model.chat.has_value());
  EXPECT_EQ(model.sampling.temperature, 0);
  EXPECT_THROW(model.chat_prompt(kChat), Error);
}

TEST_F(TextModelFolder, LoadsWithATemplateThatDoesNotParse) {
  put("chat_template.jinja", "{% if %}");
  const TextModel model = load();
  EXPECT_FALSE(model.chat.has_value());
  EXPECT_THAT(model.chat_error, HasSubstr("line 1"));
}

TEST_F(TextModelFolder, RefusesMalformedFiles) {
  put("generation_config.json", R"({"eos_token_id": "x"})");
  EXPECT_FALSE(load_text_model(folder_).ok());
  put("generation_config.json", R"({"do_sample": true, "top_p": 7})");
  EXPECT_FALSE(load_text_model(folder_).ok());
  put("generation_config.json", "{");
  EXPECT_FALSE(load_text_model(folder_).ok());
  std::filesystem::remove(folder_ / "tokenizer.json");
  EXPECT_EQ(load_text_model(folder_).error().code(), Code::kNotFound);
}

GgufMetadata small_metadata() {
  GgufMetadata m;
  m.set("tokenizer.ggml.model", std::string("gpt2"));
  m.set("tokenizer.ggml.pre", std::string("qwen2"));
  m.set("tokenizer.ggml.tokens",
        GgufArray{std::vector<std::string>{"a", "b", "ab", "<|im_end|>", "<eom>", "<eot>"}});
  m.set("tokenizer.ggml.token_type", GgufArray{std::vector<int32_t>{1, 1, 1, 3, 3, 3}});
  m.set("tokenizer.ggml.merges", GgufArray{std::vector<std::string>{"a b"}});
  return m;
}

TEST(TextModelGguf, ReadsStopTokensAndSampling) {
  GgufMetadata m = small_metadata();
  m.set("tokenizer.ggml.eom_token_id", uint32_t{4});
  m.set("tokenizer.ggml.eot_token_id", uint32_t{5});
  m.set("tokenizer.chat_template", std::string("{{ messages[0].content }}<|im_end|>"));
  m.set("general.sampling.temp", 0.7f);
  m.set("general.sampling.top_k", int32_t{20});
  const TextModel model = text_model_from_gguf(m).value();
  EXPECT_THAT(model.stop_tokens, ElementsAre(3, 4, 5));
  EXPECT_NEAR(model.sampling.temperature, 0.7, 1e-6);
  EXPECT_EQ(model.sampling.top_k, 20);
  EXPECT_THAT(model.tokenizer.encode("abb"), ElementsAre(2, 1));
}

TEST(TextModelGguf, RefusesMalformedKeys) {
  const auto refused = [](auto&& change) {
    GgufMetadata m = small_metadata();
    change(m);
    return !text_model_from_gguf(m).ok();
  };
  EXPECT_FALSE(refused([](GgufMetadata&) {}));
  EXPECT_TRUE(refused([](auto& m) { m.set("tokenizer.ggml.tokens", uint32_t{1}); }));
  EXPECT_TRUE(refused([](auto& m) { m.set("tokenizer.ggml.bos_token_id", uint32_t{6}); }));
  EXPECT_TRUE(refused([](auto& m) { m.set("tokenizer.ggml.add_bos_token", true); }));
  EXPECT_TRUE(refused([](auto& m) { m.set("tokenizer.ggml.pre", std::string("no-such")); }));
  EXPECT_TRUE(refused([](auto& m) {
    m.set("tokenizer.ggml.token_type", GgufArray{std::vector<int32_t>{1, 1, 1, 9, 3, 3}});
  }));
  EXPECT_TRUE(refused(
      [](auto& m) { m.set("tokenizer.ggml.merges", GgufArray{std::vector<std::string>{"ab"}}); }));
  EXPECT_TRUE(refused([](auto& m) { m.set("general.sampling.top_p", -1.0f); }));
}

TEST(TextModelGguf, LoadsTheRealModel) {
  const std::string path = test::smollm2_path();
  if (path.empty()) GTEST_SKIP() << "SmolLM2 is not here";
  const TextModel model = load_text_model(path).value();
  EXPECT_THAT(model.stop_tokens, ElementsAre(2));
  EXPECT_EQ(model.tokenizer.vocab_size(), 49152);
  for (const auto& c : test::read_cases("smollm2/chat.json")) {
    EXPECT_EQ(model.tokenizer.decode(model.chat_prompt(c["messages"]), false),
              c["text"].get<std::string>());
  }
}

}  // namespace
}  // namespace yiti
