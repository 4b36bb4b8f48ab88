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

TEST(ApiRequestTest, RejectsMessagesItCannotRender) {
  const auto messages = [](const char* text) {
    return chat_error(Json{{"messages", Json::parse(text)}});
  };
  EXPECT_EQ(messages("[]").param, "messages");
  EXPECT_EQ(messages("\"hi\"").param, "messages");
  EXPECT_EQ(messages("[1]").param, "messages[0]");
  EXPECT_EQ(messages(R"([{"role":"user"}])").param, "messages[0].content");
  EXPECT_EQ(messages(R"([{"role":"tool","content":"x"}])").param, "messages[0].role");
  EXPECT_EQ(messages(R"([{"role":"user","content":[]}])").param, "messages[0].content");
  EXPECT_THAT(messages(R"([{"role":"user","content":[{"type":"image_url"}]}])").message,
              HasSubstr("only text is supported"));
  EXPECT_EQ(messages(R"([{"role":"assistant","content":"","tool_calls":[{"id":"1"}]}])").param,
            "tool_calls");
}

TEST(ApiRequestTest, RejectsWhatIsMissing) {
  const ApiError error = error_of([] { parse_api_request(Api::kChat, R"({"messages":[]})"); });
  EXPECT_EQ(error.param, "model");
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
  for (const char* text :
       {R"({"tools": [{"type": "function"}]})", R"({"response_format": {"type": "json_object"}})",
        R"({"logit_bias": {"1": 5}})", R"({"tool_choice": "required"})", R"({"functions": [{}]})",
        R"({"modalities": ["audio"]})"}) {
    const ApiError error = chat_error(Json::parse(text));
    EXPECT_EQ(error.code, "unsupported_parameter") << text;
    EXPECT_EQ(error.status, 400);
  }
  EXPECT_EQ(chat_error(Json{{"temprature", 1}}).message,
            "unrecognized request argument: temprature");
  EXPECT_EQ(completion_error(Json{{"echo", true}}).param, "echo");
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
       {"[]", "{}", "1", "[1,\"a\"]", "[-1]", "[1.5]", "[4294967296]", "[[]]", "[\"a\",[1],{}]"}) {
    EXPECT_EQ(completion_error({{"prompt", Json::parse(bad)}}).param, "prompt") << bad;
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
