// What llama.cpp's clients get beyond OpenAI's API.
#include <gmock/gmock.h>

#include <cmath>

#include "tests/serving/server_fixture.h"

namespace yiti::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kConversation = "X-Conversation-Id: my/talk\r\n";
constexpr const char* kKept = "/v1/stream?conv_id=my%2Ftalk";

class ServerLlamaTest : public ServerTest {
 protected:
  // A kept stream that does not end by itself while a test runs.
  static void begin_long_talk(HttpClient& client) {
    const Json body = completion("forever", {{"stream", true}, {"max_tokens", 2000}});
    client.send_request("POST", "/v1/completions", body.dump(), kConversation);
  }

  std::vector<Json> stream(std::string_view path, Json body) {
    body["stream"] = true;
    HttpClient client(server->port());
    std::vector<Json> events;
    for (const std::string& event : client.request("POST", path, body.dump()).events()) {
      if (event != "[DONE]") events.push_back(Json::parse(event));
    }
    return events;
  }
};

TEST_F(ServerLlamaTest, ShowsThePromptWhereAsked) {
  start();
  const Json reply =
      Json::parse(post("/v1/chat/completions", chat("say:abc", {{"verbose", true}})).body);
  EXPECT_EQ(reply["__verbose"]["prompt"],
            "<|im_start|>user\nsay:abc<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(reply["__verbose"]["content"], "abc");
  EXPECT_EQ(reply["__verbose"]["generation_settings"]["temperature"], 1);
  EXPECT_FALSE(
      Json::parse(post("/v1/chat/completions", chat("say:abc")).body).contains("__verbose"));
}

TEST_F(ServerLlamaTest, ShowsThePromptAlwaysWhereItIsToldTo) {
  options.verbose_replies = true;
  start();
  EXPECT_THAT(post("/v1/chat/completions", chat("hi")).body, HasSubstr("__verbose"));
}

TEST_F(ServerLlamaTest, StreamsHowThePromptIsRead) {
  start();
  for (const std::string path : {"/v1/chat/completions", "/v1/completions", "/completion"}) {
    Json body = path == "/v1/chat/completions" ? chat("say:hello") : completion("say:hello");
    body["return_progress"] = true;
    std::vector<Json> progress;
    for (const Json& event : stream(path, body)) {
      if (event.contains("prompt_progress")) progress.push_back(event["prompt_progress"]);
    }
    ASSERT_EQ(progress.size(), 2U) << path;
    EXPECT_EQ(progress[0]["cache"], 3);
    EXPECT_EQ(progress[0]["processed"], 3);
    EXPECT_EQ(progress[1]["processed"], progress[1]["total"]);
  }
  const std::vector<Json> chat_events =
      stream("/v1/chat/completions", chat("hi", {{"return_progress", true}}));
  EXPECT_EQ(chat_events[0]["choices"][0]["delta"]["role"], "assistant") << "the role comes first";
}

TEST_F(ServerLlamaTest, StreamsTimingsWithEachDelta) {
  start();
  const std::vector<Json> events = stream(
      "/v1/chat/completions", chat("say:abc", {{"timings_per_token", true},
                                               {"stream_options", {{"include_usage", true}}}}));
  ASSERT_EQ(events.size(), 6U);  // the role, a, b, c, the end, the usage
  EXPECT_FALSE(events[0].contains("timings"));
  for (size_t i = 1; i <= 3; ++i) EXPECT_EQ(events[i]["timings"]["predicted_n"], i);
  EXPECT_EQ(events[2]["timings"]["cache_n"], 3);
  // The generator's own time: not how long the request waited for it.
  EXPECT_EQ(events[2]["timings"]["prompt_ms"], 250);
  EXPECT_EQ(events[5]["timings"]["predicted_n"], 3);
  const std::vector<Json> native =
      stream("/completion", {{"prompt", "say:ab"}, {"timings_per_token", true}});
  EXPECT_EQ(native[1]["timings"]["predicted_n"], 2);
}

// vLLM's, which guidellm asks for.
TEST_F(ServerLlamaTest, StreamsUsageWithEachDelta) {
  start();
  const Json wanted = {{"include_usage", true}, {"continuous_usage_stats", true}};
  const std::vector<Json> events =
      stream("/v1/completions", completion("say:abc", {{"stream_options", wanted}}));
  ASSERT_EQ(events.size(), 5U);  // a, b, c, the end, the usage
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(events[i]["usage"]["completion_tokens"], i + 1);
  EXPECT_EQ(events[0]["usage"]["prompt_tokens"], events[4]["usage"]["prompt_tokens"]);
  EXPECT_EQ(events[3]["usage"], events[4]["usage"]);
}

TEST_F(ServerLlamaTest, StreamsAResponsesProgressAndTimings) {
  start();
  std::vector<std::string> progress_types;
  Json completed;
  int deltas = 0;
  int64_t number = 0;
  for (const Json& event :
       stream("/responses",
              {{"input", "say:ab"}, {"timings_per_token", true}, {"return_progress", true}})) {
    EXPECT_EQ(event["sequence_number"], number++);
    if (event.contains("prompt_progress")) progress_types.push_back(event["type"]);
    if (event["type"] == "response.output_text.delta" && event.contains("timings")) ++deltas;
    if (event["type"] == "response.completed") completed = event;
  }
  EXPECT_EQ(progress_types, std::vector<std::string>(2, "response.in_progress"));
  EXPECT_EQ(deltas, 2);
  EXPECT_EQ(completed["timings"]["predicted_n"], 2);
}

TEST_F(ServerLlamaTest, CallsAResponseThatItsLimitCutCompletedOnItsOwnRoute) {
  start();
  const Json body = {{"input", "say:hello"}, {"max_output_tokens", 2}};
  EXPECT_EQ(Json::parse(post("/responses", body).body)["status"], "completed");
  EXPECT_EQ(stream("/responses", body).back()["type"], "response.completed");
  EXPECT_EQ(stream("/v1/responses", body).back()["type"], "response.incomplete");
}

TEST_F(ServerLlamaTest, GivesTheProbabilitiesThatTokensWereDrawnBy) {
  start();
  const Json body = {{"prompt", "say:a"}, {"n_probs", 2}, {"post_sampling_probs", true}};
  const Json reply = Json::parse(post("/completion", body).body);
  EXPECT_TRUE(generator.requests()[0].sampled_logprobs);
  const Json& token = reply["completion_probabilities"][0];
  EXPECT_NEAR(token["prob"].get<double>(), std::exp(-0.5), 1e-6);
  EXPECT_EQ(token["top_probs"].size(), 2U);
  EXPECT_FALSE(token.contains("logprob"));
}

TEST_F(ServerLlamaTest, KeepsAStreamForAClientThatComesBack) {
  start();
  generator.hold();
  {
    HttpClient client(server->port());
    client.send_request("POST", "/v1/chat/completions",
                        chat("say:hello", {{"stream", true}}).dump(), kConversation);
    ASSERT_TRUE(eventually([&] { return generator.under_way() == 1; }));
  }
  HttpClient again(server->port());
  again.send_request("GET", kKept);
  generator.release();
  const ClientResponse live = again.read_response();
  EXPECT_EQ(live.status, 200);
  EXPECT_EQ(live.events().back(), "[DONE]");
  EXPECT_EQ(generator.cancelled(), 0);
  const ClientResponse replay = get(kKept);
  EXPECT_EQ(replay.body, live.body);
  EXPECT_EQ(get(std::string(kKept) + "&from=10").body, live.body.substr(10));
  EXPECT_EQ(get(std::string(kKept) + "&from=1000000").status, 400);
  EXPECT_EQ(get(std::string(kKept) + "&from=x").status, 400);
}

TEST_F(ServerLlamaTest, StopsAKeptStream) {
  generator.set_token_delay(std::chrono::milliseconds(5));
  start();
  HttpClient client(server->port());
  begin_long_talk(client);
  ASSERT_TRUE(client.read_until("\"a\""));
  EXPECT_EQ(HttpClient(server->port()).request("DELETE", kKept).status, 204);
  EXPECT_TRUE(generator.wait_for_cancelled(1));
  EXPECT_EQ(get(kKept).status, 404);
  EXPECT_EQ(HttpClient(server->port()).request("DELETE", kKept).status, 204) << "it is gone";
  EXPECT_EQ(get("/v1/stream").status, 400);
}

TEST_F(ServerLlamaTest, AKeptStreamMakesWayForTheNextOneOfItsId) {
  start();
  generator.hold();
  HttpClient first(server->port());
  first.send_request("POST", "/v1/completions", completion("say:a", {{"stream", true}}).dump(),
                     kConversation);
  ASSERT_TRUE(eventually([&] { return generator.under_way() == 1; }));
  HttpClient second(server->port());
  second.send_request("POST", "/v1/completions", completion("say:b", {{"stream", true}}).dump(),
                      kConversation);
  EXPECT_TRUE(generator.wait_for_cancelled(1));
  generator.release();
  EXPECT_THAT(second.read_response().body, HasSubstr("\"b\""));
}

TEST_F(ServerLlamaTest, KeepsNothingOfWhatIsRefused) {
  start();
  const ClientResponse refused =
      post("/v1/completions", completion("hi", {{"stream", true}, {"logit_bias", {{"9999", 1}}}}),
           kConversation);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("logit_bias"));
}

TEST_F(ServerLlamaTest, AKeptStreamIsItsClientsOwn) {
  options.api_keys = {"one", "two"};
  start();
  const std::string mine = "Authorization: Bearer one\r\n";
  post("/v1/completions", completion("say:a", {{"stream", true}}), mine + kConversation);
  EXPECT_EQ(get(kKept, mine).status, 200);
  EXPECT_EQ(get(kKept, "Authorization: Bearer two\r\n").status, 404);
  EXPECT_EQ(get(kKept).status, 401);
}

TEST_F(ServerLlamaTest, EndsKeptStreamsWhenItGoes) {
  generator.set_token_delay(std::chrono::milliseconds(5));
  start();
  {
    HttpClient client(server->port());
    begin_long_talk(client);
    ASSERT_TRUE(eventually([&] { return generator.under_way() == 1; }));
  }
  server.reset();
  EXPECT_TRUE(generator.wait_for_cancelled(1));
}

TEST_F(ServerLlamaTest, AppliesTheTemplateAsAChatWould) {
  options.models[0].chat.variables_json = R"({"mood": "good"})";
  text.chat = ChatTemplate::parse("{{ mood }}{% if add_generation_prompt %}>{% endif %}").value();
  start();
  const auto applied = [&](Json more) {
    more["messages"] = Json::array({{{"role", "user"}, {"content", "hi"}}});
    return Json::parse(post("/apply-template", more).body)["prompt"].get<std::string>();
  };
  EXPECT_EQ(applied(Json::object()), "good>");
  EXPECT_EQ(applied({{"add_generation_prompt", false}}), "good");
  EXPECT_EQ(applied({{"chat_template_kwargs", {{"mood", "bad"}}}}), "bad>");
}

}  // namespace
}  // namespace yiti::testing
