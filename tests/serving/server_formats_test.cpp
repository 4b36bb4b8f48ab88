// Answers in a form that the request sets: JSON, grammars, calls of tools, responses.
#include <gmock/gmock.h>

#include <cmath>

#include "tests/serving/server_fixture.h"

namespace yiti::testing {
namespace {

using ::testing::HasSubstr;
using ServerFormatsTest = ServerTest;

const Json kTools = Json::parse(R"([{"type": "function", "function": {"name": "look",
  "parameters": {"type": "object", "properties": {"ok": {"const": true}}, "required": ["ok"]}}}])");
constexpr const char* kCall =
    "say:<tool_call>{\"name\": \"look\", \"arguments\": {\"ok\": true}}</tool_call>";

TEST_F(ServerFormatsTest, KeepsToASchema) {
  start();
  const Json format = {{"type", "json_schema"},
                       {"json_schema",
                        {{"schema",
                          {{"type", "object"},
                           {"properties", {{"a", {{"type", "integer"}}}}},
                           {"required", {"a"}}}}}}};
  const Json reply = Json::parse(
      post("/v1/chat/completions", chat("say:{\"a\":12}", {{"response_format", format}})).body);
  EXPECT_EQ(reply["choices"][0]["message"]["content"], "{\"a\":12}");
  const Json forced =
      Json::parse(post("/v1/chat/completions",
                       chat("say:no", {{"response_format", format}, {"max_tokens", 150}}))
                      .body);
  EXPECT_TRUE(
      Json::parse(forced["choices"][0]["message"]["content"].get<std::string>()).contains("a"));
}

TEST_F(ServerFormatsTest, RefusesSchemasAndGrammarsThatItCannotKeep) {
  start();
  const auto error = [&](const Json& more) {
    const ClientResponse response = post("/v1/chat/completions", chat("hi", more));
    EXPECT_EQ(response.status, 400);
    return response.body;
  };
  EXPECT_THAT(error({{"json_schema", {{"type", "string"}, {"pattern", "a"}}}}),
              HasSubstr("pattern"));
  EXPECT_THAT(error({{"grammar", "root ::= (\"a\"{9999}){9999}"}}), HasSubstr("larger than"));
  EXPECT_THAT(error({{"grammar", "root ::= ("}}), HasSubstr("line 1"));
}

TEST_F(ServerFormatsTest, PassesBiasesOnAndBansTheEnd) {
  start();
  post("/v1/completions",
       completion("hi", {{"logit_bias", {{"65", -5}}}, {"ignore_eos", true}, {"max_tokens", 1}}));
  const std::vector<TokenBias> biases = generator.requests().back().sampling.logit_bias;
  ASSERT_EQ(biases.size(), 2U);
  EXPECT_EQ(biases[0].token, 65);
  EXPECT_EQ(biases[0].bias, -5);
  EXPECT_EQ(biases[1].token, kImEnd);
  EXPECT_TRUE(std::isinf(biases[1].bias));
  EXPECT_EQ(post("/v1/completions", completion("hi", {{"logit_bias", {{"9999", 1}}}})).status, 400);
}

TEST_F(ServerFormatsTest, EchoesThePrompt) {
  start();
  const Json reply =
      Json::parse(post("/v1/completions", completion("say:abc", {{"echo", true}})).body);
  EXPECT_EQ(reply["choices"][0]["text"], "say:abcabc");
}

TEST_F(ServerFormatsTest, TurnsTaggedTextIntoCalls) {
  start();
  const Json reply =
      Json::parse(post("/v1/chat/completions", chat(kCall, {{"tools", kTools}})).body);
  const Json& choice = reply["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["content"], nullptr);
  const Json& call = choice["message"]["tool_calls"][0];
  EXPECT_EQ(call["function"]["name"], "look");
  EXPECT_EQ(call["function"]["arguments"], "{\"ok\":true}");
  EXPECT_THAT(call["id"].get<std::string>(), ::testing::StartsWith("call_"));
  const Json plain = Json::parse(post("/v1/chat/completions", chat(kCall)).body);
  EXPECT_THAT(plain["choices"][0]["message"]["content"].get<std::string>(),
              HasSubstr("<tool_call>"));
}

TEST_F(ServerFormatsTest, StreamsCalls) {
  start();
  HttpClient client(server->port());
  const ClientResponse response = client.request(
      "POST", "/v1/chat/completions", chat(kCall, {{"tools", kTools}, {"stream", true}}).dump());
  std::string name, arguments, reason;
  for (const std::string& event : response.events()) {
    if (event == "[DONE]") continue;
    const Json choice = Json::parse(event)["choices"][0];
    EXPECT_FALSE(choice["delta"].contains("content") && choice["delta"]["content"].is_string());
    for (const Json& call : choice["delta"].value("tool_calls", Json::array())) {
      EXPECT_EQ(call["index"], 0);
      name += call["function"]["name"].get<std::string>();
      arguments += call["function"]["arguments"].get<std::string>();
    }
    if (choice["finish_reason"].is_string()) reason = choice["finish_reason"];
  }
  EXPECT_EQ(name, "look");
  EXPECT_EQ(arguments, "{\"ok\":true}");
  EXPECT_EQ(reason, "tool_calls");
}

TEST_F(ServerFormatsTest, MakesTheModelCallWhereItMust) {
  start();
  const Json more = {
      {"tools", kTools}, {"tool_choice", "required"}, {"parallel_tool_calls", false}};
  const Json reply = Json::parse(post("/v1/chat/completions", chat("say:no", more)).body);
  const Json& message = reply["choices"][0]["message"];
  ASSERT_EQ(message["tool_calls"].size(), 1U) << message.dump();
  EXPECT_EQ(Json::parse(message["tool_calls"][0]["function"]["arguments"].get<std::string>())["ok"],
            true);
}

TEST_F(ServerFormatsTest, RefusesToolsWhereTheTemplateHasNone) {
  text.chat = ChatTemplate::parse("{% for m in messages %}{{ m.content }}{% endfor %}").value();
  start();
  const ClientResponse response = post("/v1/chat/completions", chat("hi", {{"tools", kTools}}));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(Json::parse(response.body)["error"]["param"], "tools");
}

TEST_F(ServerFormatsTest, AnswersAsAResponse) {
  start();
  const Json reply = Json::parse(post("/v1/responses", {{"input", "say:hello"}}).body);
  EXPECT_EQ(reply["object"], "response");
  EXPECT_EQ(reply["status"], "completed");
  EXPECT_EQ(reply["output"][0]["content"][0]["text"], "hello");
  EXPECT_EQ(reply["usage"]["output_tokens"], 5);
  const Json cut =
      Json::parse(post("/v1/responses", {{"input", "say:hello"}, {"max_output_tokens", 2}}).body);
  EXPECT_EQ(cut["status"], "incomplete");
  EXPECT_EQ(cut["incomplete_details"]["reason"], "max_output_tokens");
}

TEST_F(ServerFormatsTest, StreamsTheEventsOfAResponseInOrder) {
  start();
  HttpClient client(server->port());
  const ClientResponse response =
      client.request("POST", "/v1/responses", Json({{"input", "say:hi"}, {"stream", true}}).dump());
  std::vector<std::string> types;
  std::string said;
  int64_t number = 0;
  for (const std::string& data : response.events()) {
    const Json event = Json::parse(data);
    EXPECT_EQ(event["sequence_number"], number++);
    types.push_back(event["type"]);
    if (types.back() == "response.output_text.delta") said += event["delta"].get<std::string>();
  }
  EXPECT_EQ(said, "hi");
  EXPECT_THAT(types,
              ::testing::ElementsAre("response.created", "response.in_progress",
                                     "response.output_item.added", "response.content_part.added",
                                     "response.output_text.delta", "response.output_text.delta",
                                     "response.output_text.done", "response.content_part.done",
                                     "response.output_item.done", "response.completed"));
}

TEST_F(ServerFormatsTest, AnswersAsLlamaCppsCompletion) {
  start();
  const Json reply = Json::parse(
      post("/completion", {{"prompt", "say:abc"}, {"n_predict", 2}, {"return_tokens", true}}).body);
  EXPECT_EQ(reply["content"], "ab");
  EXPECT_EQ(reply["tokens"], Json::array({97, 98}));
  EXPECT_EQ(reply["stop_type"], "limit");
  EXPECT_EQ(reply["timings"]["predicted_n"], 2);
  EXPECT_EQ(reply["generation_settings"]["n_predict"], 2);
  const Json list = Json::parse(post("/completion", {{"prompt", {"say:a", "say:b"}}}).body);
  EXPECT_EQ(list[1]["content"], "b");
  const Json fields =
      Json::parse(post("/completion",
                       {{"prompt", "say:a"}, {"response_fields", {"content", "timings/cache_n"}}})
                      .body);
  EXPECT_EQ(fields.dump(), R"({"content":"a","timings/cache_n":3})");
}

}  // namespace
}  // namespace yiti::testing
