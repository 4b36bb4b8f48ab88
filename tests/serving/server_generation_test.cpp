// Chats and completions over HTTP, from the fake generator.
#include <gmock/gmock.h>

#include "tests/serving/server_fixture.h"

namespace yiti::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ServerGenerationTest = ServerTest;

std::vector<Json> chunks(const ClientResponse& response) {
  const std::vector<std::string> events = response.events();
  EXPECT_FALSE(events.empty());
  std::vector<Json> result;
  for (const std::string& event : events) {
    if (event != "[DONE]") result.push_back(Json::parse(event));
  }
  EXPECT_EQ(events.size(), result.size() + 1);
  EXPECT_EQ(events.back(), "[DONE]");
  return result;
}

std::string streamed_text(const std::vector<Json>& all, int64_t index = 0) {
  std::string result;
  for (const Json& chunk : all) {
    for (const Json& choice : chunk["choices"]) {
      if (choice["index"] != index) continue;
      const Json said =
          choice.contains("delta") ? choice["delta"].value("content", Json()) : choice["text"];
      if (said.is_string()) result += said.get<std::string>();
    }
  }
  return result;
}

TEST_F(ServerGenerationTest, Chats) {
  start();
  const ClientResponse response = post("/v1/chat/completions", chat("say:Hello!"));
  ASSERT_EQ(response.status, 200) << response.body;
  const Json json = Json::parse(response.body);
  EXPECT_THAT(json["id"].get<std::string>(), StartsWith("chatcmpl-"));
  EXPECT_EQ(json["choices"][0]["message"]["content"], "Hello!");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(json["system_fingerprint"], "fp_fake");
  EXPECT_EQ(json["usage"]["completion_tokens"], 6);
  EXPECT_EQ(json["usage"]["prompt_tokens_details"]["cached_tokens"], 3);
  EXPECT_EQ(json["usage"]["prompt_tokens"], generator.requests()[0].prompt.size());
  EXPECT_EQ(response.headers.at("x-request-id"), json["id"].get<std::string>());
}

TEST_F(ServerGenerationTest, GivesTheGeneratorTheWholeRequest) {
  text.sampling.top_k = 7;
  start();
  post("/v1/chat/completions", chat("hi", {{"temperature", 0.5}, {"seed", 9}, {"max_tokens", 3}}));
  const GenerateRequest request = generator.requests().at(0);
  EXPECT_EQ(request.sampling.temperature, 0.5);
  EXPECT_EQ(request.sampling.top_k, 7);
  EXPECT_EQ(request.sampling.seed, 9U);
  EXPECT_EQ(request.max_tokens, 3);
  EXPECT_EQ(request.cache_owner, "");
  EXPECT_THAT(request.stop_tokens, ElementsAre(kImEnd));
  EXPECT_EQ(request.prompt, text.tokenizer.encode("<|im_start|>user\nhi<|im_end|>\n"
                                                  "<|im_start|>assistant\n"));
}

TEST_F(ServerGenerationTest, KeepsTheCachesOfKeysApartWhereAsked) {
  options.api_keys = {"one", "two"};
  options.isolate_clients = true;
  start();
  for (const char* key : {"one", "two"}) {
    HttpClient(server->port())
        .request("POST", "/v1/chat/completions", chat("hi").dump(),
                 fmt::format("Content-Type: application/json\r\nX-Api-Key: {}\r\n", key));
  }
  EXPECT_EQ(generator.requests().at(0).cache_owner, "one");
  EXPECT_EQ(generator.requests().at(1).cache_owner, "two");
}

TEST_F(ServerGenerationTest, DrawsASeedWhereNoneIsGiven) {
  start();
  post("/v1/chat/completions", chat("hi"));
  post("/v1/chat/completions", chat("hi"));
  const auto requests = generator.requests();
  EXPECT_NE(requests[0].sampling.seed, requests[1].sampling.seed);
  EXPECT_EQ(requests[0].sampling.temperature, 1);
}

TEST_F(ServerGenerationTest, StreamsAChat) {
  start();
  const ClientResponse response =
      post("/v1/chat/completions",
           chat("say:Hé!", {{"stream", true}, {"stream_options", {{"include_usage", true}}}}));
  EXPECT_THAT(response.headers.at("content-type"), HasSubstr("text/event-stream"));
  EXPECT_TRUE(response.complete);
  const std::vector<Json> all = chunks(response);
  EXPECT_EQ(all[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(streamed_text(all), "Hé!");
  const Json& end = all[all.size() - 2];
  EXPECT_EQ(end["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(end["system_fingerprint"], "fp_fake");
  EXPECT_EQ(all.back()["choices"], Json::array());
  EXPECT_EQ(all.back()["usage"]["completion_tokens"], 4);
  for (const Json& chunk : all) EXPECT_EQ(chunk["id"], all[0]["id"]);
}

TEST_F(ServerGenerationTest, StreamsACompletionWithoutUsageUnlessAsked) {
  start();
  const std::vector<Json> all =
      chunks(post("/v1/completions", completion("say:abc", {{"stream", true}})));
  EXPECT_EQ(streamed_text(all), "abc");
  for (const Json& chunk : all) EXPECT_FALSE(chunk.contains("usage"));
  EXPECT_EQ(all.back()["choices"][0]["finish_reason"], "stop");
}

TEST_F(ServerGenerationTest, EndsAtTheLengthAskedFor) {
  start();
  const Json json =
      Json::parse(post("/v1/completions", completion("forever", {{"max_tokens", 5}})).body);
  EXPECT_EQ(json["choices"][0]["text"], "aaaaa");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(json["usage"]["completion_tokens"], 5);
}

TEST_F(ServerGenerationTest, FillsTheContextAtMost) {
  start();
  post("/v1/completions", completion("12345678", {{"max_tokens", 100'000}}));
  EXPECT_EQ(generator.requests()[0].max_tokens, 2040);
}

TEST_F(ServerGenerationTest, GivesItsDefaultLengthWhereNoneIsAskedFor) {
  options.default_max_tokens = 5;
  options.max_tokens = 7;
  start();
  post("/v1/chat/completions", chat("hi"));
  post("/v1/chat/completions", chat("hi", {{"max_tokens", 6}}));
  post("/v1/chat/completions", chat("hi", {{"max_tokens", 9}}));
  EXPECT_EQ(generator.requests()[0].max_tokens, 5);
  EXPECT_EQ(generator.requests()[1].max_tokens, 6);
  EXPECT_EQ(generator.requests()[2].max_tokens, 7);
}

TEST_F(ServerGenerationTest, StopsAtAStopStringAndCancels) {
  start();
  for (const bool stream : {false, true}) {
    const ClientResponse response =
        post("/v1/chat/completions",
             chat("say:one, two, three", {{"stop", {"xx", "two"}}, {"stream", stream}}));
    const std::string content =
        stream ? streamed_text(chunks(response))
               : Json::parse(response.body)["choices"][0]["message"]["content"].get<std::string>();
    EXPECT_EQ(content, "one, ");
  }
}

TEST_F(ServerGenerationTest, StopsWhatWouldGoOnForever) {
  start();
  const Json json =
      Json::parse(post("/v1/chat/completions", chat("forever", {{"stop", "aaaa"}})).body);
  EXPECT_EQ(json["choices"][0]["message"]["content"], "");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(json["usage"]["completion_tokens"], 4);
  EXPECT_EQ(generator.under_way(), 0);
}

TEST_F(ServerGenerationTest, GivesSeveralChoices) {
  start();
  const Json json =
      Json::parse(post("/v1/chat/completions", chat("say:x", {{"n", 3}, {"seed", 5}})).body);
  ASSERT_EQ(json["choices"].size(), 3U);
  EXPECT_EQ(json["choices"][2]["index"], 2);
  EXPECT_EQ(json["usage"]["completion_tokens"], 3);
  EXPECT_EQ(json["usage"]["prompt_tokens"], generator.requests()[0].prompt.size());
  EXPECT_EQ(generator.requests()[2].sampling.seed, 7U);
}

TEST_F(ServerGenerationTest, StreamsSeveralChoices) {
  start();
  const std::vector<Json> all =
      chunks(post("/v1/chat/completions", chat("say:xyz", {{"n", 2}, {"stream", true}})));
  EXPECT_EQ(streamed_text(all, 0), "xyz");
  EXPECT_EQ(streamed_text(all, 1), "xyz");
}

TEST_F(ServerGenerationTest, CompletesSeveralPrompts) {
  start();
  const Json json =
      Json::parse(post("/v1/completions", completion({"say:one", "say:two"}, {{"n", 2}})).body);
  ASSERT_EQ(json["choices"].size(), 4U);
  EXPECT_EQ(json["choices"][1]["text"], "one");
  EXPECT_EQ(json["choices"][2]["text"], "two");
  EXPECT_EQ(json["usage"]["prompt_tokens"], 14);
}

TEST_F(ServerGenerationTest, CompletesTokens) {
  start();
  const Json json =
      Json::parse(post("/v1/completions", completion({'s', 'a', 'y', ':', 'q'})).body);
  EXPECT_EQ(json["choices"][0]["text"], "q");
  EXPECT_EQ(post("/v1/completions", completion({258})).status, 400);
}

TEST_F(ServerGenerationTest, GivesChatLogprobs) {
  start();
  const Json body = chat("say:hé", {{"logprobs", true}, {"top_logprobs", 2}});
  const Json json = Json::parse(post("/v1/chat/completions", body).body);
  const Json& content = json["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), 3U);
  EXPECT_EQ(content[0]["token"], "h");
  EXPECT_EQ(content[0]["logprob"], -0.5);
  EXPECT_EQ(content[0]["top_logprobs"].size(), 2U);
  EXPECT_EQ(content[0]["top_logprobs"][1]["token"], "i");
}

TEST_F(ServerGenerationTest, StreamsLogprobs) {
  start();
  const Json body = chat("say:ab", {{"logprobs", true}, {"stream", true}});
  std::string tokens;
  for (const Json& chunk : chunks(post("/v1/chat/completions", body))) {
    const Json& logprobs = chunk["choices"][0]["logprobs"];
    if (logprobs.is_null()) continue;
    for (const Json& token : logprobs["content"]) tokens += token["token"].get<std::string>();
  }
  EXPECT_EQ(tokens, "ab");
}

TEST_F(ServerGenerationTest, GivesCompletionLogprobs) {
  start();
  const Json json =
      Json::parse(post("/v1/completions", completion("say:ab", {{"logprobs", 1}})).body);
  EXPECT_EQ(json["choices"][0]["logprobs"],
            Json::parse(R"({"tokens":["a","b"],"token_logprobs":[-0.5,-0.5],
                            "top_logprobs":[{"a":-0.5},{"b":-0.5}],"text_offset":[0,1]})"));
}

TEST_F(ServerGenerationTest, ARefusalIsOneAnswer) {
  start();
  HttpClient client(server->port());
  const std::string body = chat("hi", {{"temperature", 5}}).dump();
  EXPECT_EQ(client.request("POST", "/v1/chat/completions", body).status, 400);
  EXPECT_EQ(client.request("GET", "/health").status, 200);
}

TEST_F(ServerGenerationTest, RefusesUnknownModels) {
  start();
  Json body = chat("hi");
  body["model"] = "gpt-5";
  const ClientResponse response = post("/v1/chat/completions", body);
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(Json::parse(response.body)["error"]["message"], "The model 'gpt-5' does not exist");
}

TEST_F(ServerGenerationTest, TellsWhereJsonIsBad) {
  start();
  const ClientResponse response =
      HttpClient(server->port()).request("POST", "/v1/chat/completions", R"({"model": })");
  EXPECT_EQ(response.status, 400);
  EXPECT_THAT(response.body, HasSubstr("not valid at byte 11"));
}

TEST_F(ServerGenerationTest, RefusesPromptsThatFillTheContext) {
  start();
  const ClientResponse response = post("/v1/completions", completion(std::string(2048, 'x')));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(Json::parse(response.body)["error"]["code"], "context_length_exceeded");
  EXPECT_EQ(post("/v1/completions", completion("")).status, 400);
}

TEST_F(ServerGenerationTest, RefusesChatsWithAModelThatHasNoTemplate) {
  text.chat.reset();
  start();
  EXPECT_EQ(post("/v1/chat/completions", chat("hi")).status, 400);
  EXPECT_EQ(post("/v1/completions", completion("hi")).status, 200);
}

TEST_F(ServerGenerationTest, AnswersAFailureBeforeTheFirstTokenWithAStatus) {
  start();
  for (const bool stream : {false, true}) {
    const ClientResponse response =
        post("/v1/completions", completion("fail:", {{"stream", stream}}));
    EXPECT_EQ(response.status, 500);
    EXPECT_EQ(Json::parse(response.body)["error"]["type"], "server_error");
    EXPECT_EQ(response.body.find("secret"), std::string::npos);
  }
  EXPECT_THAT(log(), HasSubstr("a secret detail"));
}

TEST_F(ServerGenerationTest, ReportsAFailureInTheMiddleOfAStream) {
  start();
  const ClientResponse response =
      post("/v1/completions", completion("fail:abc", {{"stream", true}}));
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.complete);
  const Json last = Json::parse(response.events().back());
  EXPECT_EQ(last["error"]["type"], "server_error");
}

TEST_F(ServerGenerationTest, RefusesMoreThanItsLimit) {
  options.max_generations = 2;
  start();
  generator.hold();
  HttpClient first(server->port());
  first.send_request("POST", "/v1/completions", completion("say:a", {{"n", 2}}).dump());
  ASSERT_TRUE(eventually([&] { return generator.requests().size() >= 2; }));
  const ClientResponse refused = post("/v1/completions", completion("say:b"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  EXPECT_EQ(Json::parse(refused.body)["error"]["code"], "rate_limit_exceeded");
  generator.release();
  EXPECT_EQ(first.read_response().status, 200);
  EXPECT_EQ(post("/v1/completions", completion("say:c", {{"n", 2}})).status, 200);
  EXPECT_EQ(post("/v1/completions", completion("say:d", {{"n", 3}})).status, 400);
}

}  // namespace
}  // namespace yiti::testing
