// Clients that leave, clients that dawdle, and the server's own end.
#include <gmock/gmock.h>

#include <future>
#include <thread>

#include "tests/serving/fake_jobs.h"
#include "tests/serving/server_fixture.h"

namespace yiti::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ServerLifeTest : public ServerTest {
 protected:
  void send_endless(HttpClient& client, bool stream) {
    client.send_request("POST", "/v1/chat/completions",
                        chat("forever", {{"stream", stream}}).dump());
  }
  int count_in_log(std::string_view words) {
    const std::string all = log();
    int count = 0;
    for (size_t at = 0; (at = all.find(words, at)) != std::string::npos; ++at) ++count;
    return count;
  }
  void wait_for_requests(size_t count) {
    ASSERT_TRUE(eventually([&] { return generator.requests().size() >= count; }));
  }
};

TEST_F(ServerLifeTest, CancelsAStreamWhoseClientLeaves) {
  generator.set_token_delay(2ms);
  start();
  HttpClient client(server->port());
  send_endless(client, true);
  EXPECT_TRUE(client.read_until("content\":\"a"));
  client.close();
  EXPECT_TRUE(generator.wait_for_cancelled(1));
}

TEST_F(ServerLifeTest, CancelsAnAnswerWhoseClientLeaves) {
  generator.set_token_delay(20ms);
  start();
  HttpClient client(server->port());
  send_endless(client, false);
  wait_for_requests(1);
  client.close();
  EXPECT_TRUE(generator.wait_for_cancelled(1));
}

TEST_F(ServerLifeTest, CancelsWhatHasNotBegunWhenTheClientLeaves) {
  start();
  generator.hold();
  HttpClient client(server->port());
  client.send_request("POST", "/v1/completions", completion({"a", "b"}, {{"n", 2}}).dump());
  wait_for_requests(4);
  client.close();
  EXPECT_TRUE(generator.wait_for_cancelled(4));
}

TEST_F(ServerLifeTest, GivesThePlacesOfCancelledRequestsBack) {
  options.max_generations = 1;
  generator.set_token_delay(1ms);
  start();
  for (int i = 0; i < 3; ++i) {
    HttpClient client(server->port());
    send_endless(client, true);
    ASSERT_TRUE(client.read_until("content\":\"a"));
    client.close();
    ASSERT_TRUE(generator.wait_for_cancelled(i + 1));
  }
}

TEST_F(ServerLifeTest, CancelsForAClientThatDoesNotRead) {
  options.max_buffered_bytes = 64 << 10;
  generator.set_context_length(1 << 20);  // an answer that no system's buffers take
  start();
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<HttpClient>(server->port()));
    send_endless(*clients.back(), true);
  }
  EXPECT_TRUE(eventually([&] { return count_in_log("reads too slowly") >= 4; })) << log();
  EXPECT_TRUE(eventually([&] { return generator.under_way() == 0; }));
  EXPECT_EQ(get("/health").status, 200);
}

TEST_F(ServerLifeTest, TimesOutAClientThatDoesNotRead) {
  options.write_timeout = 100ms;
  options.max_buffered_bytes = 1 << 30;
  generator.set_context_length(1 << 17);
  start();
  HttpClient client(server->port());
  send_endless(client, true);
  EXPECT_TRUE(eventually([&] { return count_in_log("timed out while sending") >= 1; })) << log();
}

TEST_F(ServerLifeTest, DoesNotReadEndlesslyAhead) {
  options.grace = 10ms;
  start();
  generator.hold();
  HttpClient client(server->port());
  send_endless(client, false);
  wait_for_requests(1);
  // The system's buffers take some megabytes; then the client has to wait.
  const std::string bytes(64 << 20, 'x');
  std::future<bool> sent = std::async(std::launch::async, [&] { return client.send(bytes); });
  EXPECT_EQ(sent.wait_for(300ms), std::future_status::timeout);
  server->stop();
  sent.wait();
}

TEST_F(ServerLifeTest, FinishesRequestsUnderWayWhenItStops) {
  generator.set_token_delay(5ms);
  start();
  HttpClient client(server->port());
  client.send_request("POST", "/v1/completions", completion("say:all of this").dump());
  wait_for_requests(1);
  server->stop();
  const ClientResponse response = client.read_response();
  EXPECT_THAT(response.body, HasSubstr("all of this"));
  EXPECT_EQ(response.headers.at("connection"), "close");
}

TEST_F(ServerLifeTest, EndsStreamsWithAnErrorAfterTheGraceTime) {
  generator.set_token_delay(2ms);
  options.grace = 50ms;
  start();
  HttpClient client(server->port());
  send_endless(client, true);
  wait_for_requests(1);
  server->stop();
  const ClientResponse response = client.read_response();
  EXPECT_TRUE(response.complete);
  EXPECT_EQ(Json::parse(response.events().back())["error"]["code"], "unavailable");
  EXPECT_TRUE(generator.wait_for_cancelled(1));
}

TEST_F(ServerLifeTest, EndsWaitingRequestsWith503AfterTheGraceTime) {
  options.grace = 10ms;
  generator.hold();
  start();
  HttpClient client(server->port());
  send_endless(client, false);
  wait_for_requests(1);
  server->stop();
  EXPECT_EQ(client.read_response().status, 503);
  EXPECT_TRUE(generator.wait_for_cancelled(1));
}

TEST_F(ServerLifeTest, StopsAtOnceWhenNobodyWaits) {
  start();
  HttpClient idle(server->port());
  EXPECT_EQ(idle.request("GET", "/health").status, 200);
  const auto begin = std::chrono::steady_clock::now();
  server->stop();
  server->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
  EXPECT_TRUE(idle.closed_by_server());
}

TEST_F(ServerLifeTest, StopsThoughAClientNeverFinishesItsRequest) {
  options.grace = 20ms;
  start();
  HttpClient client(server->port());
  client.send("POST /v1/completions HTTP/1.1\r\n");
  std::this_thread::sleep_for(20ms);
  server->stop();
}

TEST_F(ServerLifeTest, StopsThoughItNeverStarted) {
  Server idle(options);
  idle.stop();
}

TEST_F(ServerLifeTest, SaysThatItsPortIsTaken) {
  start();
  ServerOptions same = options;
  same.port = server->port();
  Server second(same);
  const Result<uint16_t> started = second.start();
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code(), Code::kUnavailable);
  EXPECT_THAT(started.error().what(), HasSubstr("cannot listen on 127.0.0.1"));
}

TEST_F(ServerLifeTest, SaysThatItLoadsUntilItHasLoaded) {
  FakeJobs jobs;
  options.registry = std::make_shared<ModelRegistry>();
  options.load = [&, models = std::exchange(options.models, {})](ServerOptions& opened) {
    for (const char* path : {"/health", "/v1/models", "/nothing"}) {
      const ClientResponse early = get(path);
      EXPECT_EQ(early.status, 503) << path;
      EXPECT_EQ(early.headers.at("retry-after"), "5");
      EXPECT_EQ(Json::parse(early.body)["error"]["message"], "Loading model");
      EXPECT_EQ(Json::parse(early.body)["error"]["type"], "unavailable_error");
      EXPECT_EQ(Json::parse(early.body)["error"]["code"], 503);
    }
    EXPECT_EQ(post("/v1/chat/completions", chat("a")).status, 503);
    opened.registry->add(models[0]);
    opened.jobs = &jobs;
  };
  start();
  EXPECT_EQ(get("/health").status, 200);
  EXPECT_EQ(post("/v1/chat/completions", chat("a")).status, 200);
  EXPECT_EQ(get("/v1/fine_tuning/jobs").status, 200);
}

TEST_F(ServerLifeTest, SaysWhyItCouldNotLoad) {
  options.load = [](ServerOptions&) { fail(Code::kNotFound, "test", "no such model"); };
  server = std::make_unique<Server>(options);
  const Result<uint16_t> started = server->start();
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code(), Code::kNotFound);
  EXPECT_EQ(get("/health").status, 503);
}

TEST_F(ServerLifeTest, ListensAtSeveralAddresses) {
  options.more_hosts = {"127.0.0.2"};
  start();
  for (const char* host : {"127.0.0.1", "127.0.0.2"}) {
    EXPECT_EQ(HttpClient(server->port(), host).request("GET", "/health", {}).status, 200) << host;
  }
  server->stop();
  options.more_hosts = {"192.0.2.1"};  // of no machine (RFC 5737)
  Server elsewhere(options);
  EXPECT_THAT(elsewhere.start().error().what(), HasSubstr("cannot listen on 192.0.2.1"));
}

TEST_F(ServerLifeTest, StartsOnlyOnce) {
  start();
  EXPECT_EQ(server->start().error().code(), Code::kFailedPrecondition);
}

TEST_F(ServerLifeTest, ServesOnThePortOfOneThatStopped) {
  start();
  options.port = server->port();
  EXPECT_EQ(get("/health").status, 200);
  server->stop();
  start();
  EXPECT_EQ(get("/health").status, 200);
}

TEST_F(ServerLifeTest, RejectsOptionsThatMakeNoSense) {
  options.io_threads = 0;
  EXPECT_THROW(Server{options}, Error);
  options.io_threads = 1;
  options.max_body_bytes = 0;
  EXPECT_THROW(Server{options}, Error);
  options.max_body_bytes = 1;
  options.models.push_back(options.models[0]);
  EXPECT_THROW(Server{options}, Error);
  options.models.pop_back();
  options.models[0].generator = nullptr;
  EXPECT_THROW(Server{options}, Error);
}

TEST_F(ServerLifeTest, ServesManyClientsWhileOthersLeave) {
  generator.set_token_delay(1ms);
  start();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this, i] {
      for (int k = 0; k < 10; ++k) {
        HttpClient client(server->port());
        const bool leaves = (i + k) % 2 == 0;
        client.send_request("POST", "/v1/completions",
                            completion("say:hello there", {{"stream", i % 3 == 0}}).dump());
        if (leaves) continue;
        EXPECT_EQ(client.read_response().status, 200);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(eventually([&] { return generator.under_way() == 0; }));
  EXPECT_EQ(get("/health").status, 200);
}

}  // namespace
}  // namespace yiti::testing
