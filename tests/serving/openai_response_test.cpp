#include "serving/openai_response.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "serving/api_error.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

const ReplyHead kChatHead = {Api::kChat, "chatcmpl-1", 1700000000, "m"};
const ReplyHead kCompletionHead = {Api::kCompletion, "cmpl-1", 1700000000, "m"};

ReplyChoice choice_with_logprobs() {
  TokenDetail detail;
  detail.piece = "\xc3";
  detail.logprob = -0.5;
  detail.top = {{1, "\xc3", -0.5}, {2, "b", -std::numeric_limits<double>::infinity()}};
  detail.text_offset = 4;
  return {.index = 1,
          .text = "é",
          .details = {std::move(detail)},
          .with_logprobs = true,
          .finish_reason = "stop"};
}

TEST(ReplyJson, WritesAChatCompletion) {
  const ReplyChoice choice = {.text = "hi", .details = {}, .finish_reason = "length"};
  EXPECT_EQ(reply_json(kChatHead, {choice}, {5, 2, 1}, "fp"),
            R"({"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m",)"
            R"("system_fingerprint":"fp","choices":[{"index":0,"message":{"role":"assistant",)"
            R"("content":"hi","refusal":null},"logprobs":null,"finish_reason":"length"}],)"
            R"("usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,)"
            R"("prompt_tokens_details":{"cached_tokens":1}}})");
}

TEST(ReplyJson, WritesACompletion) {
  const ReplyChoice choice = {.text = "hi", .details = {}, .finish_reason = "stop"};
  EXPECT_EQ(reply_json(kCompletionHead, {choice}, {5, 2, 0}, "fp"),
            R"({"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"m",)"
            R"("system_fingerprint":"fp","choices":[{"index":0,"text":"hi","logprobs":null,)"
            R"("finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,)"
            R"("total_tokens":7,"prompt_tokens_details":{"cached_tokens":0}}})");
}

TEST(ReplyJson, WritesChatLogprobs) {
  const Json json = Json::parse(reply_json(kChatHead, {choice_with_logprobs()}, {}, ""));
  EXPECT_FALSE(json.contains("system_fingerprint"));
  const Json& token = json["choices"][0]["logprobs"]["content"][0];
  EXPECT_EQ(token["token"], "\ufffd") << "half a character";
  EXPECT_EQ(token["bytes"], Json::array({0xc3}));
  EXPECT_EQ(token["top_logprobs"][1]["token"], "b");
  EXPECT_EQ(token["top_logprobs"][1]["logprob"], -9999.0);
}

TEST(ReplyJson, WritesCompletionLogprobs) {
  const Json json = Json::parse(reply_json(kCompletionHead, {choice_with_logprobs()}, {}, ""));
  const Json& logprobs = json["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["token_logprobs"], Json::array({-0.5}));
  EXPECT_EQ(logprobs["text_offset"], Json::array({4}));
  EXPECT_EQ(logprobs["top_logprobs"][0]["b"], -9999.0);
}

TEST(ChunkJson, BeginsWithTheRole) {
  const Json json = Json::parse(role_chunk_json(kChatHead, 1, {"", true}));
  EXPECT_EQ(json["object"], "chat.completion.chunk");
  EXPECT_EQ(json["choices"][0]["index"], 1);
  EXPECT_EQ(json["choices"][0]["delta"]["role"], "assistant");
  EXPECT_TRUE(json["choices"][0]["delta"]["content"].is_null());
  EXPECT_TRUE(json["usage"].is_null());
}

TEST(ChunkJson, EndsWithAnEmptyDelta) {
  const Json json =
      Json::parse(chunk_json(kChatHead, {.text = {}, .details = {}, .finish_reason = "stop"}, {}));
  EXPECT_EQ(json["choices"][0]["delta"], Json::object());
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  EXPECT_FALSE(json.contains("usage"));
}

TEST(ChunkJson, GivesUsageWithoutChoices) {
  const Json json = Json::parse(usage_chunk_json(kCompletionHead, {1, 2, 0}, "fp"));
  EXPECT_EQ(json["choices"], Json::array());
  EXPECT_EQ(json["usage"]["total_tokens"], 3);
  EXPECT_EQ(json["system_fingerprint"], "fp");
}

TEST(ModelJson, ListsModels) {
  ServedModel model;
  model.name = "m";
  EXPECT_EQ(model_list_json({std::make_shared<const ServedModel>(model)}, "loaded"),
            R"({"object":"list","data":[{"id":"m","object":"model","created":0,)"
            R"("owned_by":"yiti","status":{"value":"loaded"}}]})");
}

TEST(ModelJson, TellsAliasesAndTags) {
  ServedModel model;
  model.name = "m";
  model.aliases = {"n"};
  model.tags = {"small"};
  const Json json = Json::parse(model_json(model, "loaded"));
  EXPECT_EQ(json["aliases"], Json::array({"m", "n"}));
  EXPECT_EQ(json["tags"], Json::array({"small"}));
}

TEST(ApiErrorTest, MapsEveryCodeToAStatus) {
  EXPECT_EQ(http_status(Code::kCancelled), 503);
  EXPECT_EQ(http_status(Code::kInvalidArgument), 400);
  EXPECT_EQ(http_status(Code::kNotFound), 404);
  EXPECT_EQ(http_status(Code::kAlreadyExists), 409);
  EXPECT_EQ(http_status(Code::kOutOfRange), 400);
  EXPECT_EQ(http_status(Code::kFailedPrecondition), 400);
  EXPECT_EQ(http_status(Code::kResourceExhausted), 429);
  EXPECT_EQ(http_status(Code::kUnimplemented), 501);
  EXPECT_EQ(http_status(Code::kUnavailable), 503);
  EXPECT_EQ(http_status(Code::kDataLoss), 500);
  EXPECT_EQ(http_status(Code::kInternal), 500);
}

TEST(ApiErrorTest, HidesInternalDetails) {
  const ApiError error = to_api_error(Error(Code::kInternal, "secret", "path"));
  EXPECT_EQ(error.message.find("secret"), std::string::npos);
  EXPECT_EQ(to_api_error(Error(Code::kNotFound, "a", "b")).message, "a: b");
}

}  // namespace
}  // namespace yiti::serving
