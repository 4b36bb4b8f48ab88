#include "serving/openai_request.h"

#include <gmock/gmock.h>

#include "serving/api_error.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ApiRequest chat(const Json& more) {
  Json body = {{"model", "m"}, {"messages", {{{"role", "user"}, {"content", "hi"}}}}};
  body.update(more);
  return parse_api_request(Api::kChat, body.dump());
}

ApiRequest completion(const Json& more) {
  Json body = {{"model", "m"}, {"prompt", "hi"}};
  body.update(more);
  return parse_api_request(Api::kCompletion, body.dump());
}

ApiError error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const ApiException& refused) {
    return refused.error();
  }
  ADD_FAILURE() << "accepted";
  return {};
}

ApiError chat_error(const Json& more) {
  return error_of([&] { chat(more); });
}
ApiError completion_error(const Json& more) {
  return error_of([&] { completion(more); });
}

TEST(ApiRequestTest, ReadsAMinimalChat) {
  const ApiRequest request = chat(Json::object());
  EXPECT_EQ(request.model, "m");
  EXPECT_EQ(request.messages.dump(), R"([{"role":"user","content":"hi"}])");
  EXPECT_EQ(request.n, 1);
  EXPECT_FALSE(request.stream);
  EXPECT_FALSE(request.max_tokens.has_value());
  EXPECT_FALSE(request.sampling.temperature.has_value());
  EXPECT_EQ(request.top_logprobs, -1);
}

TEST(ApiRequestTest, ReadsEveryKnob) {
  const ApiRequest request = chat(Json::parse(R"({
    "max_completion_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1,
    "repetition_penalty": 1.1, "frequency_penalty": -1, "presence_penalty": 2, "seed": -3,
    "stop": ["a", "b"], "n": 2, "logprobs": true, "top_logprobs": 4, "stream": true,
    "stream_options": {"include_usage": true}, "user": "me", "metadata": {"a": "b"}})"));
  EXPECT_EQ(request.max_tokens, 5);
  EXPECT_EQ(request.sampling.temperature, 0.5);
  EXPECT_EQ(request.sampling.top_p, 0.9);
  EXPECT_EQ(request.sampling.top_k, 40);
  EXPECT_EQ(request.sampling.min_p, 0.1);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.1);
  EXPECT_EQ(request.sampling.frequency_penalty, -1);
  EXPECT_EQ(request.sampling.presence_penalty, 2);
  EXPECT_EQ(request.sampling.seed, static_cast<uint64_t>(-3));
  EXPECT_THAT(request.stop, ElementsAre("a", "b"));
  EXPECT_EQ(request.n, 2);
  EXPECT_EQ(request.top_logprobs, 4);
  EXPECT_TRUE(request.stream);
  EXPECT_TRUE(request.include_usage);
}

TEST(ApiRequestTest, TakesNullAsLeftOut) {
  const ApiRequest request = chat(Json::parse(
      R"({"temperature": null, "stop": null, "tools": null, "max_tokens": null, "n": null})"));
  EXPECT_FALSE(request.sampling.temperature.has_value());
}

TEST(ApiRequestTest, JoinsTextParts) {
  const ApiRequest request = chat(Json::parse(R"({"messages": [
    {"role": "developer", "content": "be brief"},
    {"role": "user", "name": "eve", "content": [{"type": "text", "text": "a"},
                                                {"type": "text", "text": "b"}]}]})"));
  EXPECT_EQ(request.messages.dump(), R"([{"role":"system","content":"be brief"},)"
                                     R"({"role":"user","content":"a\nb","name":"eve"}])");
}

TEST(ApiRequestTest, ReadsHowTheConversationGoesOn) {
  const Json messages = Json::parse(R"([{"role": "user", "content": "a"}, {"role": "assistant",
      "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]}])");
  EXPECT_TRUE(chat(Json::object()).generation_prompt);
  EXPECT_FALSE(chat({{"add_generation_prompt", false}}).generation_prompt);
  const ApiRequest request = chat({{"messages", messages},
                                   {"continue_final_message", true},
                                   {"chat_template_kwargs", {{"a", 1}}}});
  EXPECT_TRUE(request.continue_message);
  EXPECT_FALSE(request.generation_prompt);
  EXPECT_EQ(request.messages[1]["content"], "b\n\nc");
  EXPECT_EQ(request.template_variables["a"], 1);
  EXPECT_EQ(chat_error({{"continue_final_message", true}}).param, "continue_final_message");
  EXPECT_EQ(chat_error({{"messages", messages},
                        {"continue_final_message", true},
                        {"add_generation_prompt", true}})
                .param,
            "continue_final_message");
  EXPECT_EQ(chat_error({{"chat_template_kwargs", 1}}).param, "chat_template_kwargs");
}

TEST(ApiRequestTest, RejectsMessagesItCannotRender) {
  const auto messages = [](const char* text) {
    return chat_error(Json{{"messages", Json::parse(text)}});
  };
  EXPECT_EQ(messages("[]").param, "messages");
  EXPECT_EQ(messages("\"hi\"").param, "messages");
  EXPECT_EQ(messages("[1]").param, "messages[0]");
  EXPECT_EQ(messages(R"([{"role":"user"}])").param, "messages[0].content");
  EXPECT_EQ(messages(R"([{"role":"robot","content":"x"}])").param, "messages[0].role");
  EXPECT_EQ(messages(R"([{"role":"user","content":[]}])").param, "messages[0].content");
  EXPECT_THAT(messages(R"([{"role":"user","content":[{"type":"image_url"}]}])").message,
              HasSubstr("only text is supported"));
  EXPECT_EQ(messages(R"([{"role":"assistant","content":"","tool_calls":[{"id":"1"}]}])").param,
            "function");
  EXPECT_EQ(messages(R"([{"role":"user","content":"","tool_calls":[{"id":"1"}]}])").param,
            "tool_calls");
}

TEST(ApiRequestTest, RejectsWhatIsMissing) {
  const ApiError error = error_of([] { parse_api_request(Api::kChat, R"({"model":"m"})"); });
  EXPECT_EQ(error.param, "messages");
  EXPECT_EQ(error.code, "missing_required_parameter");
  EXPECT_EQ(error_of([] { parse_api_request(Api::kCompletion, R"({"model":"m"})"); }).param,
            "prompt");
  EXPECT_EQ(error_of([] { parse_api_request(Api::kChat, "[]"); }).status, 400);
  EXPECT_THROW(parse_api_request(Api::kChat, "{"), Error);
}

TEST(ApiRequestTest, RejectsValuesOutOfRange) {
  for (const char* text : {R"({"temperature": 2.1})",
                           R"({"temperature": -0.1})",
                           R"({"top_p": 1.5})",
                           R"({"min_p": -1})",
                           R"({"top_k": -2})",
                           R"({"n": 0})",
                           R"({"n": 129})",
                           R"({"max_tokens": 0})",
                           R"({"presence_penalty": 3})",
                           R"({"frequency_penalty": -3})",
                           R"({"repetition_penalty": 0})",
                           R"({"stop": ["a","b","c","d","e"]})",
                           R"({"stop": ""})",
                           R"({"stop": [1]})",
                           R"({"top_logprobs": 21, "logprobs": true})",
                           R"({"top_logprobs": 2})",
                           R"({"seed": 1.5})",
                           R"({"seed": 99999999999999999999})",
                           R"({"stream": "yes"})",
                           R"({"max_tokens": 1, "max_completion_tokens": 2})",
                           R"({"temperature": "hot"})",
                           R"({"stream_options": {"include_usage": true}})"}) {
    const Json more = Json::parse(text);
    EXPECT_THAT(more.items().begin().key() + " logprobs", HasSubstr(chat_error(more).param))
        << text;
  }
}

TEST(ApiRequestTest, RefusesWhatWouldChangeTheAnswer) {
  for (const char* text : {R"({"functions": [{}]})", R"({"modalities": ["audio"]})",
                           R"({"reasoning_effort": "high"})"}) {
    const ApiError error = chat_error(Json::parse(text));
    EXPECT_EQ(error.code, "unsupported_parameter") << text;
    EXPECT_EQ(error.status, 400);
  }
  EXPECT_EQ(chat_error(Json{{"temprature", 1}}).message,
            "unrecognized request argument: temprature");
  EXPECT_EQ(completion_error(Json{{"echo", true}, {"logprobs", 1}}).param, "echo");
  EXPECT_EQ(completion_error(Json{{"best_of", 3}}).param, "best_of");
}

TEST(ApiRequestTest, AcceptsNeutralValuesOfWhatItRefuses) {
  chat(Json::parse(R"({"tools": [], "response_format": {"type": "text"}, "logit_bias": {},
                       "tool_choice": "none", "modalities": ["text"]})"));
  completion(Json::parse(R"({"echo": false, "suffix": "", "best_of": 1})"));
}

TEST(ApiRequestTest, ReadsEveryFormOfPrompt) {
  EXPECT_THAT(completion({{"prompt", "a"}}).prompts, ElementsAre(Prompt("a")));
  EXPECT_THAT(completion({{"prompt", {"a", "b"}}}).prompts, ElementsAre(Prompt("a"), Prompt("b")));
  EXPECT_THAT(completion({{"prompt", {1, 2}}}).prompts,
              ElementsAre(Prompt(std::vector<int32_t>{1, 2})));
  EXPECT_THAT(completion({{"prompt", Json::parse("[[1],[2,3]]")}}).prompts,
              ElementsAre(Prompt(std::vector<int32_t>{1}), Prompt(std::vector<int32_t>{2, 3})));
  for (const char* bad :
       {"[]", "{}", "1", "[-1]", "[1.5]", "[4294967296]", "[[]]", "[\"a\",[1],{}]"}) {
    EXPECT_EQ(completion_error({{"prompt", Json::parse(bad)}}).param, "prompt") << bad;
  }
}

TEST(ApiRequestTest, ReadsBiasesByTokenAndByText) {
  const SamplingWishes wishes =
      chat(Json::parse(R"({"logit_bias": {"7": -100, "the": 2}, "ignore_eos": true})")).sampling;
  ASSERT_EQ(wishes.logit_bias.size(), 2U);
  EXPECT_EQ(std::get<int32_t>(wishes.logit_bias[0].what), 7);
  EXPECT_EQ(wishes.logit_bias[0].bias, -100);
  EXPECT_EQ(std::get<std::string>(wishes.logit_bias[1].what), "the");
  EXPECT_TRUE(wishes.ignore_eos);
  for (const char* bad : {"5", R"({"1": 101})", R"({"1": true})", "[[1]]", "[[-1, 2]]"}) {
    EXPECT_EQ(chat_error({{"logit_bias", Json::parse(bad)}}).param, "logit_bias") << bad;
  }
}

TEST(ApiRequestTest, ReadsToolsAndWhichMustBeCalled) {
  const Json tools = Json::parse(R"([{"type": "function", "function": {"name": "f"}}])");
  EXPECT_EQ(chat({{"tools", tools}}).tools.choice, ToolChoice::kAuto);
  EXPECT_FALSE(chat({{"tools", tools}, {"tool_choice", "none"}}).tools.any());
  const ToolRequest named =
      chat({{"tools", tools}, {"tool_choice", tools[0]}, {"parallel_tool_calls", false}}).tools;
  EXPECT_EQ(named.choice, ToolChoice::kRequired);
  EXPECT_EQ(named.named, "f");
  EXPECT_FALSE(named.parallel);
  EXPECT_EQ(chat_error({{"tool_choice", "required"}}).param, "tool_choice");
  EXPECT_EQ(chat_error({{"tools", tools}, {"tool_choice", "sometimes"}}).param, "tool_choice");
  EXPECT_EQ(chat_error({{"tools", Json::parse(R"([{"type": "function"}])")}}).param, "function");
  EXPECT_EQ(chat_error({{"tools", Json::parse(R"([{"type": "retrieval"}])")}}).param, "tools[0]");
}

TEST(ApiRequestTest, ReadsTheTurnsOfAToolsCall) {
  const ApiRequest request = chat({{"messages", Json::parse(R"([
      {"role": "user", "content": "weather?"},
      {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function",
        "function": {"name": "f", "arguments": "{\"city\": \"Ulm\"}"}}]},
      {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}])")}});
  EXPECT_EQ(request.messages[1]["tool_calls"][0]["function"]["arguments"]["city"], "Ulm");
  EXPECT_EQ(request.messages[1]["content"], "");
  EXPECT_EQ(request.messages[2]["tool_call_id"], "call_1");
}

TEST(ApiRequestTest, ReadsTheFormatsOfAnAnswer) {
  using Kind = OutputFormat::Kind;
  const auto kind = [](const char* format) {
    return chat({{"response_format", Json::parse(format)}}).format.kind;
  };
  EXPECT_EQ(kind(R"({"type": "text"})"), Kind::kText);
  EXPECT_EQ(kind(R"({"type": "json_object"})"), Kind::kJsonObject);
  EXPECT_EQ(kind(R"({"type": "json_object", "schema": {"const": 1}})"), Kind::kJsonSchema);
  const Json wrapped = {{"type", "json_schema"},
                        {"json_schema", {{"name", "x"}, {"schema", {{"const", 1}}}}}};
  EXPECT_EQ(chat({{"response_format", wrapped}}).format.schema["const"], 1);
  EXPECT_EQ(chat({{"grammar", "root ::= \"a\""}}).format.kind, Kind::kGrammar);
  EXPECT_EQ(chat_error({{"response_format", {{"type", "sound"}}}}).param, "response_format");
  EXPECT_EQ(chat_error({{"response_format", {{"type", "json_schema"}}}}).param, "response_format");
  EXPECT_EQ(chat_error({{"grammar", "x"}, {"json_schema", true}}).param, "grammar");
}

TEST(ApiRequestTest, ReadsAResponsesInput) {
  const auto read = [](const char* body) { return parse_api_request(Api::kResponses, body); };
  const ApiRequest request = read(R"({"model": "m", "instructions": "be brief", "input": [
      {"role": "user", "content": [{"type": "input_text", "text": "hi"}]}], "max_output_tokens": 7,
      "text": {"format": {"type": "json_schema", "name": "x", "schema": {"const": 1}}}})");
  EXPECT_EQ(request.messages.dump(), R"([{"role":"system","content":"be brief"},)"
                                     R"({"role":"user","content":"hi"}])");
  EXPECT_EQ(request.max_tokens, 7);
  EXPECT_EQ(request.format.schema["const"], 1);
  for (const char* field : {"store", "previous_response_id", "tools"}) {
    const Json body = {{"input", "hi"},
                       {field, field == std::string("tools") ? Json{1} : Json(true)}};
    EXPECT_EQ(error_of([&] { read(body.dump().c_str()); }).param, field);
  }
}

TEST(ApiRequestTest, GivesCompletionsOpenAisDefaultLength) {
  EXPECT_EQ(completion(Json::object()).max_tokens, 16);
  EXPECT_EQ(completion({{"logprobs", 3}}).top_logprobs, 3);
}

TEST(ApiRequestTest, BoundsTheChoicesOfAllPrompts) {
  EXPECT_EQ(completion_error({{"prompt", Json(std::vector<std::string>(129, "a"))}}).param,
            "prompt");
  EXPECT_EQ(completion_error({{"prompt", {"a", "b"}}, {"n", 65}}).param, "n");
}

TEST(MergeSampling, PutsWishesOverTheModelsDefaults) {
  const Sampling defaults = {.temperature = 0.2, .top_k = 50, .top_p = 0.9};
  const Sampling merged = merge_sampling(defaults, {.temperature = 0, .top_k = 0});
  EXPECT_EQ(merged.temperature, 0);
  EXPECT_EQ(merged.top_k, 0);
  EXPECT_EQ(merged.top_p, 0.9);
}

TEST(MergeSampling, SamplesAtOneWhereNobodySaysOtherwise) {
  EXPECT_EQ(merge_sampling({}, {}).temperature, 1);
  EXPECT_EQ(merge_sampling({.temperature = 0.2}, {}).temperature, 0.2);
}

}  // namespace
}  // namespace yiti::serving
