// A model that is loaded when a request first wants it.
#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <semaphore>

#include "tests/serving/server_fixture.h"

namespace yiti::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class OnDemandTest : public ServerTest {
 protected:
  OnDemandTest() {
    ServedModel loaded = options.models[0];
    options.models.clear();
    ServedModel promise;
    promise.name = loaded.name;
    options.on_demand = {.promise = promise, .load = [this, loaded] {
                           ++loads;
                           may_load.acquire();
                           if (load_fails) fail(Code::kDataLoss, "test", "a torn file");
                           return loaded;
                         }};
  }
  ~OnDemandTest() override {
    may_load.release(8);
    server.reset();
  }

  std::future<ClientResponse> ask(const std::string& path, const Json& body,
                                  std::string_view headers = {}) {
    return std::async(std::launch::async, [=, this] { return post(path, body, headers); });
  }
  std::string status() { return Json::parse(get("/models").body)["data"][0]["status"]["value"]; }
  void wait_until_it_loads(int64_t requests) {
    const std::string waiting = "yiti:requests_waiting_for_load " + std::to_string(requests);
    ASSERT_TRUE(
        eventually([&] { return get("/metrics").body.find(waiting) != std::string::npos; }));
  }

  std::counting_semaphore<> may_load{0};
  std::atomic<bool> load_fails = false;
  std::atomic<int> loads = 0;
};

TEST_F(OnDemandTest, IsUpAndTellsOfTheModelBeforeItIsLoaded) {
  start();
  EXPECT_EQ(get("/health").status, 200);
  EXPECT_EQ(status(), "unloaded");
  const Json one = Json::parse(get("/v1/models/fake/model").body);
  EXPECT_EQ(one["id"], "fake/model");
  EXPECT_EQ(one["status"]["value"], "unloaded");
  EXPECT_EQ(get("/v1/models/other").status, 404);
  EXPECT_THAT(get("/").body, HasSubstr("  fake/model\n"));
  EXPECT_EQ(post("/v1/chat/completions", {{"messages", 3}}).status, 400);
  EXPECT_EQ(get("/v1/stream?conv_id=none").status, 404);
  EXPECT_EQ(loads, 0);
}

TEST_F(OnDemandTest, HoldsRequestsUntilItIsLoaded) {
  start();
  auto reply = ask("/v1/chat/completions", chat("say:here"));
  auto tokens = ask("/tokenize", {{"content", "ab"}});
  auto unknown = ask("/v1/completions", {{"model", "other"}, {"prompt", "a"}});
  wait_until_it_loads(3);
  EXPECT_EQ(status(), "loading");
  EXPECT_EQ(get("/health").status, 200);
  std::this_thread::sleep_for(20ms);
  may_load.release();
  EXPECT_THAT(reply.get().body, HasSubstr("here"));
  EXPECT_EQ(tokens.get().status, 200);
  EXPECT_EQ(unknown.get().status, 404);
  EXPECT_EQ(status(), "loaded");
  EXPECT_EQ(loads, 1);
  const std::string metrics = get("/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("yiti:requests_waiting_for_load 0\n"));
  // The wait is part of what the client saw.
  EXPECT_THAT(metrics,
              HasSubstr("vllm:time_to_first_token_seconds_bucket{model_name=\"fake/model\","
                        "le=\"0.01\"} 0\n"));
  EXPECT_EQ(post("/v1/chat/completions", chat("again")).status, 200);
  EXPECT_EQ(loads, 1);
}

TEST_F(OnDemandTest, TriesAgainAfterALoadThatFailed) {
  load_fails = true;
  start();
  may_load.release();
  const ClientResponse refused = post("/v1/chat/completions", chat("a"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.at("retry-after"), "5");
  EXPECT_EQ(Json::parse(refused.body)["error"]["code"], "model_not_loaded");
  EXPECT_THAT(refused.body, Not(HasSubstr("torn")));
  EXPECT_THAT(log(), HasSubstr("a torn file"));
  EXPECT_EQ(status(), "unloaded");
  load_fails = false;
  may_load.release();
  EXPECT_EQ(post("/v1/chat/completions", chat("a")).status, 200);
  EXPECT_EQ(loads, 2);
}

TEST_F(OnDemandTest, ForgetsARequestWhoseClientLeaves) {
  start();
  HttpClient client(server->port());
  client.send_request("POST", "/v1/chat/completions", chat("forever").dump());
  wait_until_it_loads(1);
  client.close();
  wait_until_it_loads(0);
  may_load.release();
  EXPECT_TRUE(eventually([&] { return status() == "loaded"; }));
  EXPECT_EQ(post("/v1/chat/completions", chat("a")).status, 200);
  EXPECT_EQ(generator.requests().size(), 1u);
}

TEST_F(OnDemandTest, HoldsAsManyRequestsAsThereAreGenerations) {
  options.max_generations = 1;
  start();
  auto held = ask("/v1/chat/completions", chat("a"));
  wait_until_it_loads(1);
  const ClientResponse refused = post("/v1/chat/completions", chat("b"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_TRUE(refused.headers.contains("retry-after"));
  may_load.release();
  EXPECT_EQ(held.get().status, 200);
}

TEST_F(OnDemandTest, CancelsAStreamThatWaits) {
  start();
  auto reply =
      ask("/v1/chat/completions", chat("forever", {{"stream", true}}), "X-Conversation-Id: c\r\n");
  wait_until_it_loads(1);
  EXPECT_EQ(get("/v1/stream?conv_id=c").status, 503);
  EXPECT_EQ(HttpClient(server->port()).request("DELETE", "/v1/stream?conv_id=c").status, 204);
  const ClientResponse cancelled = reply.get();
  EXPECT_EQ(cancelled.status, 400);
  EXPECT_EQ(Json::parse(cancelled.body)["error"]["code"], "cancelled");
  EXPECT_EQ(get("/v1/stream?conv_id=c").status, 404);
  may_load.release();
  EXPECT_TRUE(eventually([&] { return status() == "loaded"; }));
  EXPECT_EQ(generator.requests().size(), 0u);
}

TEST_F(OnDemandTest, KeepsAStreamWhoseClientLeavesMeanwhile) {
  start();
  HttpClient client(server->port());
  client.send_request("POST", "/v1/chat/completions", chat("say:later", {{"stream", true}}).dump(),
                      "X-Conversation-Id: c\r\n");
  wait_until_it_loads(1);
  client.close();
  may_load.release();
  EXPECT_TRUE(eventually([&] { return get("/v1/stream?conv_id=c").status == 200; }));
  EXPECT_EQ(get("/v1/stream?conv_id=c").events().size(), 8u);  // role, five letters, end, [DONE]
}

TEST_F(OnDemandTest, EndsHeldRequestsWhenItStops) {
  options.grace = 10ms;
  start();
  auto reply = ask("/v1/chat/completions", chat("a"));
  wait_until_it_loads(1);
  server->stop();
  EXPECT_EQ(reply.get().status, 503);
}

TEST_F(OnDemandTest, WantsANameAndAFunction) {
  options.on_demand->load = nullptr;
  EXPECT_THROW(Server{options}, Error);
}

}  // namespace
}  // namespace yiti::testing
