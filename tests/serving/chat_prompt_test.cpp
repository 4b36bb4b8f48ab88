#include "serving/chat_prompt.h"

#include <gmock/gmock.h>

#include <ctime>

#include "serving/api_error.h"
#include "tests/serving/fake_generator.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

class ChatPromptTest : public ::testing::Test {
 protected:
  ChatPromptTest() {
    model_.name = "m";
    model_.text = &text_;
  }
  void use_template(std::string_view source) { text_.chat = ChatTemplate::parse(source).value(); }
  std::string prompt(const Json& messages, const Json& more = Json::object()) const {
    Json body = {{"messages", messages}};
    body.update(more);
    return chat_text(parse_api_request(Api::kChat, body.dump()), model_);
  }
  static Json turn(const char* role, const char* content) {
    return {{"role", role}, {"content", content}};
  }

  TextModel text_ = testing::fake_text_model();
  ServedModel model_;
};

TEST_F(ChatPromptTest, EndsWithTheBeginningOfAnAnswerUnlessAsked) {
  const Json messages = Json::array({turn("user", "a")});
  EXPECT_EQ(prompt(messages), "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(prompt(messages, {{"add_generation_prompt", false}}),
            "<|im_start|>user\na<|im_end|>\n");
}

TEST_F(ChatPromptTest, GoesOnWithTheLastMessageWhereAskedOrByDefault) {
  const Json messages = Json::array({turn("user", "a"), turn("assistant", "b")});
  const std::string continued = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb";
  EXPECT_EQ(prompt(messages), continued + "<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(prompt(messages, {{"continue_final_message", true}}), continued);
  model_.chat.prefill_assistant = true;
  EXPECT_EQ(prompt(messages), continued);
  EXPECT_EQ(prompt(Json::array({turn("user", "a")})),
            "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n");
  const Json twice =
      Json::array({turn("user", "a"), turn("assistant", "b"), turn("assistant", "c")});
  EXPECT_THROW(prompt(twice), ApiException);
}

TEST_F(ChatPromptTest, GivesTheTemplateItsVariables) {
  use_template("{{ a }} {{ b }}");
  model_.chat.variables_json = R"({"a": 1, "b": 2})";
  const Json messages = Json::array({turn("user", "hi")});
  EXPECT_EQ(prompt(messages), "1 2");
  EXPECT_EQ(prompt(messages, {{"chat_template_kwargs", {{"b", 3}}}}), "1 3");
}

TEST_F(ChatPromptTest, TellsTheDateWhereItIsAskedTo) {
  use_template("{{ date_string }}, {{ datetime }}");
  const Json messages = Json::array({turn("user", "hi")});
  EXPECT_EQ(prompt(messages), ", ");
  model_.chat.dates = true;
  const auto today = [](const char* format) {
    const std::time_t now = std::time(nullptr);
    char text[64];
    std::strftime(text, sizeof text, format, std::localtime(&now));
    return std::string(text);
  };
  const std::string before = today("%d %b %Y, %b %d %Y");
  const std::string got = prompt(messages);
  EXPECT_THAT(got, ::testing::AnyOf(before, today("%d %b %Y, %b %d %Y")));  // midnight may pass
}

TEST_F(ChatPromptTest, GivesFireFunctionItsToolsAsText) {
  use_template("functools[ {{ functions }}");
  const Json messages = Json::array({turn("user", "hi")});
  EXPECT_EQ(prompt(messages), "functools[ ");
  const Json tools = Json::parse(R"([{"type": "function", "function": {"name": "f"}}])");
  EXPECT_EQ(prompt(messages, {{"tools", tools}}), "functools[ " + tools.dump());
}

}  // namespace
}  // namespace yiti::serving
