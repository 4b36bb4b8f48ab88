// What the server answers besides generating.
#include <gmock/gmock.h>

#include "serving/access.h"
#include "serving/query.h"
#include "tests/serving/server_fixture.h"

namespace yiti::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ServerRoutesTest = ServerTest;

TEST_F(ServerRoutesTest, TellsWhatIsHere) {
  start();
  const ClientResponse response = get("/");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr("/v1/chat/completions"));
  EXPECT_THAT(response.body, HasSubstr("fake/model"));
  EXPECT_THAT(response.headers.at("content-type"), HasSubstr("text/plain"));
}

TEST_F(ServerRoutesTest, IsHealthy) {
  start();
  EXPECT_EQ(get("/health").body, R"({"status":"ok"})");
}

TEST_F(ServerRoutesTest, ListsItsModels) {
  start();
  const Json json = Json::parse(get("/v1/models").body);
  EXPECT_EQ(json["object"], "list");
  EXPECT_EQ(json["data"][0]["id"], "fake/model");
}

TEST_F(ServerRoutesTest, FindsAModelWithASlashInItsName) {
  start();
  for (const char* path : {"/v1/models/fake/model", "/v1/models/fake%2Fmodel"}) {
    EXPECT_EQ(Json::parse(get(path).body)["id"], "fake/model");
  }
  const ClientResponse response = get("/v1/models/other");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(Json::parse(response.body)["error"]["code"], "model_not_found");
}

TEST_F(ServerRoutesTest, DoesNotKnowOtherPaths) {
  start();
  for (const char* path : {"/v1", "/v1/models/", "/v1/audio", "//", "/health/", "/%00"}) {
    EXPECT_EQ(get(path).status, 404) << path;
  }
}

TEST_F(ServerRoutesTest, AsksForItsKey) {
  options.api_keys = {"secret", "other"};
  start();
  EXPECT_EQ(get("/health").status, 200);
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(get("/v1/models").status, 401);
  EXPECT_EQ(get("/v1/nothing").status, 401);
  EXPECT_EQ(get("/v1/models", "Authorization: Bearer secre\r\n").status, 401);
  EXPECT_EQ(get("/v1/models", "Authorization: Bearer secrets\r\n").status, 401);
  EXPECT_EQ(get("/v1/models", "Authorization: secret\r\n").status, 401);
  EXPECT_EQ(get("/v1/models", "Authorization: Bearer secret\r\n").status, 200);
  const ClientResponse response = post("/v1/completions", completion("hi"));
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.headers.at("www-authenticate"), "Bearer");
  EXPECT_EQ(Json::parse(response.body)["error"]["code"], "invalid_api_key");
}

TEST_F(ServerRoutesTest, TakesAnyOfItsKeysInEitherHeader) {
  options.api_keys = {"secret", "other"};
  start();
  EXPECT_EQ(get("/v1/models", "Authorization: Bearer other\r\n").status, 200);
  EXPECT_EQ(get("/v1/models", "X-Api-Key: other\r\n").status, 200);
  EXPECT_EQ(get("/v1/models", "X-Api-Key: another\r\n").status, 401);
  EXPECT_EQ(get("/metrics").status, 401);
}

TEST_F(ServerRoutesTest, GivesEveryAnswerAnId) {
  start();
  EXPECT_EQ(get("/health", "X-Request-Id: mine-1\r\n").headers.at("x-request-id"), "mine-1");
  EXPECT_THAT(get("/health").headers.at("x-request-id"), ::testing::StartsWith("req-"));
  EXPECT_THAT(get("/health", "X-Request-Id: a b\r\n").headers.at("x-request-id"),
              ::testing::StartsWith("req-"));
  EXPECT_EQ(get("/nothing", "X-Request-Id: x\r\n").headers.at("x-request-id"), "x");
}

TEST_F(ServerRoutesTest, LetsNoPageOfAnotherOriginReadUnlessAsked) {
  start();
  EXPECT_FALSE(get("/health", "Origin: http://a.example\r\n")
                   .headers.contains("access-control-allow-origin"));
}

TEST_F(ServerRoutesTest, LetsPagesOfItsOriginsAsk) {
  options.cors_origins = {"http://a.example", "localhost"};
  options.api_keys = {"secret"};
  start();
  const auto ask = [&](const std::string& origin, const char* path) {
    return HttpClient(server->port())
        .request("OPTIONS", path, {},
                 "Origin: " + origin + "\r\nAccess-Control-Request-Method: POST\r\n")
        .headers;
  };
  const auto allowed = [&](const std::string& origin) {
    return ask(origin, "/v1/chat/completions")["access-control-allow-origin"];
  };
  EXPECT_EQ(allowed("http://a.example"), "http://a.example");
  EXPECT_EQ(allowed("http://localhost:3000"), "http://localhost:3000");
  EXPECT_EQ(allowed("http://[::1]"), "http://[::1]");
  EXPECT_EQ(allowed("http://localhost.evil.example"), "");
  EXPECT_EQ(allowed("http://b.example"), "");
  EXPECT_EQ(get("/health", "Origin: http://a.example\r\n").headers["access-control-allow-origin"],
            "http://a.example");
  // A star alone would not let a page send its key.
  EXPECT_THAT(ask("http://a.example", "/v1/models")["access-control-allow-headers"],
              StartsWith("Authorization, "));
  EXPECT_EQ(ask("http://a.example", "/completion")["access-control-allow-headers"], "*");
}

TEST_F(ServerRoutesTest, IsNotHealthyWhenAStepDoesNotEnd) {
  start();
  generator.stall_for(59);
  EXPECT_EQ(get("/health").status, 200);
  generator.stall_for(61);
  EXPECT_EQ(get("/health").status, 503);
}

TEST_F(ServerRoutesTest, CountsWhatItDid) {
  start();
  post("/v1/completions", completion("say:abc"));
  post("/v1/completions", completion("say:abc", {{"max_tokens", 2}}));
  const std::string counted = get("/metrics").body;
  for (const char* line :
       {"vllm:generation_tokens_total{model_name=\"fake/model\"} 5",
        "vllm:prompt_tokens_total{model_name=\"fake/model\"} 14",
        "yiti:kv_cache_bytes{model_name=\"fake/model\"} 10000000",
        "yiti:kv_cache_used_bytes{model_name=\"fake/model\"} 2000000",
        "yiti:kv_cache_kept_bytes{model_name=\"fake/model\"} 3000000",
        "yiti:kv_store_bytes{model_name=\"fake/model\"} 2500000000",
        "yiti:kv_store_loaded_total{model_name=\"fake/model\"} 5",
        "vllm:spec_decode_num_drafts_total{model_name=\"fake/model\"} 4",
        "vllm:spec_decode_num_draft_tokens_total{model_name=\"fake/model\"} 14",
        "vllm:spec_decode_num_accepted_tokens_total{model_name=\"fake/model\"} 10",
        "vllm:request_success_total{model_name=\"fake/model\",finished_reason=\"length\"} 1",
        "vllm:request_success_total{model_name=\"fake/model\",finished_reason=\"stop\"} 1",
        "vllm:time_to_first_token_seconds_count{model_name=\"fake/model\"} 2",
        "vllm:e2e_request_latency_seconds_bucket{model_name=\"fake/model\",le=\"+Inf\"} 2",
        "# TYPE vllm:inter_token_latency_seconds histogram",
        "vllm:num_requests_running{model_name=\"fake/model\"} 0",
        "yiti:kv_cache_touched_bytes{model_name=\"fake/model\"} 6000000",
        "yiti:tensor_bytes{model_name=\"fake/model\"} 8192"}) {
    EXPECT_THAT(counted, HasSubstr(std::string(line) + "\n"));
  }
  // More than a megabyte, less than a terabyte.
  EXPECT_THAT(counted, ContainsRegex("process_resident_memory_bytes [0-9]{7,12}\n"));
}

TEST_F(ServerRoutesTest, TurnsTextIntoTokensAndBack) {
  start();
  EXPECT_EQ(post("/tokenize", {{"content", "ab"}}).body, R"({"tokens":[97,98]})");
  const Json pieces =
      Json::parse(post("/tokenize", {{"content", "é"}, {"with_pieces", true}}).body);
  EXPECT_EQ(pieces["tokens"][0]["piece"], Json::array({0xC3}));
  const Json counted = Json::parse(post("/tokenize", {{"prompt", "abc"}}).body);
  EXPECT_EQ(counted["count"], 3);
  EXPECT_EQ(counted["max_model_len"], 2048);
  EXPECT_EQ(Json::parse(post("/detokenize", {{"tokens", {97, 98}}}).body)["content"], "ab");
  EXPECT_EQ(post("/detokenize", {{"tokens", {9999}}}).status, 400);
  EXPECT_EQ(post("/tokenize", Json::object()).status, 400);
  const Json messages = {{{"role", "user"}, {"content", "hi"}}};
  EXPECT_EQ(Json::parse(post("/apply-template", {{"messages", messages}}).body)["prompt"],
            "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
}

TEST_F(ServerRoutesTest, EmbedsTexts) {
  start();
  const Json reply =
      Json::parse(post("/v1/embeddings", {{"input", {"ab", "c"}}, {"pooling", "last"}}).body);
  ASSERT_EQ(reply["data"].size(), 2U);
  const auto first = reply["data"][0]["embedding"].get<std::vector<double>>();
  EXPECT_NEAR(first[0] * first[0] + first[1] * first[1], 1, 1e-6);
  EXPECT_NEAR(first[0] / first[1], 97 + 98, 1e-2);
  EXPECT_EQ(reply["usage"]["prompt_tokens"], 3);
  const Json base64 =
      Json::parse(post("/v1/embeddings", {{"input", "c"}, {"encoding_format", "base64"}}).body);
  EXPECT_EQ(base64["data"][0]["embedding"], "AACAPwAAAAA=");  // 1.0f, 0.0f
  EXPECT_EQ(post("/v1/embeddings", {{"input", "c"}, {"dimensions", 5}}).status, 400);
  EXPECT_EQ(post("/v1/embeddings", {{"input", ""}}).status, 400);
}

TEST_F(ServerRoutesTest, EmbedsMoreTextsThanItRunsAtOnce) {
  options.max_generations = 2;
  start();
  Json texts = Json::array();
  for (int i = 0; i < 100; ++i) texts.push_back(std::string(1, static_cast<char>('A' + i % 26)));
  for (int round = 0; round < 3; ++round) {  // all places are given back
    const Json reply =
        Json::parse(post("/v1/embeddings", {{"input", texts}, {"pooling", "last"}}).body);
    ASSERT_EQ(reply["data"].size(), 100U);
    EXPECT_EQ(reply["data"][0]["embedding"], reply["data"][26]["embedding"]);
    EXPECT_NE(reply["data"][0]["embedding"], reply["data"][1]["embedding"]);
    EXPECT_EQ(reply["data"][99]["index"], 99);
    EXPECT_EQ(reply["usage"]["prompt_tokens"], 100);
  }
}

TEST_F(ServerRoutesTest, ShowsLlamaCppsClientsItsSlotsAndProperties) {
  options.serve_slots = false;
  start();
  const Json props = Json::parse(get("/props").body);
  EXPECT_EQ(props["total_slots"], 4);
  EXPECT_EQ(props["default_generation_settings"]["n_ctx"], 2048);
  EXPECT_EQ(get("/slots").status, 501);
}

TEST_F(ServerRoutesTest, LogsEachRequest) {
  start();
  get("/health");
  server->stop();
  EXPECT_THAT(log(), HasSubstr("GET /health: 200 in "));
}

TEST(PercentDecode, LeavesWhatIsNoEscape) {
  EXPECT_EQ(serving::percent_decode("a%2fb%2Fc"), "a/b/c");
  EXPECT_EQ(serving::percent_decode("%"), "%");
  EXPECT_EQ(serving::percent_decode("%2"), "%2");
  EXPECT_EQ(serving::percent_decode("%zz%2x%-1"), "%zz%2x%-1");
}

TEST(EqualInConstantTime, ComparesAllBytes) {
  EXPECT_TRUE(serving::equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(serving::equal_in_constant_time("abd", "abc"));
  EXPECT_FALSE(serving::equal_in_constant_time("abcabc", "abc"));
  EXPECT_FALSE(serving::equal_in_constant_time("", "abc"));
}

}  // namespace
}  // namespace yiti::testing
