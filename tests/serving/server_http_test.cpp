// How the server speaks HTTP, whatever is asked.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <random>

#include "tests/serving/server_fixture.h"

namespace yiti::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ServerHttpTest : public ServerTest {
 protected:
  ClientResponse send_raw(std::string_view bytes) {
    HttpClient client(server->port());
    client.send(bytes);
    return client.read_response();
  }
};

TEST_F(ServerHttpTest, KeepsTheConnection) {
  start();
  HttpClient client(server->port());
  for (int i = 0; i < 3; ++i) {
    const ClientResponse response = client.request("GET", "/health");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.headers.at("connection"), "keep-alive");
  }
  EXPECT_EQ(client.request("POST", "/v1/completions", completion("say:a").dump()).status, 200);
  EXPECT_EQ(client.request("POST", "/v1/completions", "{").status, 400);
  EXPECT_EQ(client.request("GET", "/health").status, 200);
}

TEST_F(ServerHttpTest, ClosesWhenAsked) {
  start();
  HttpClient client(server->port());
  const ClientResponse response = client.request("GET", "/health", {}, "Connection: close\r\n");
  EXPECT_EQ(response.headers.at("connection"), "close");
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(ServerHttpTest, AnswersPipelinedRequestsInOrder) {
  start();
  HttpClient client(server->port());
  for (const char* word : {"one", "two", "three"}) {
    client.send_request("POST", "/v1/completions", completion(std::string("say:") + word).dump());
    client.send_request("GET", "/health");
  }
  for (const char* word : {"one", "two", "three"}) {
    EXPECT_THAT(client.read_response().body, HasSubstr(word));
    EXPECT_THAT(client.read_response().body, HasSubstr("ok"));
  }
}

TEST_F(ServerHttpTest, AnswersHundredsOfPipelinedRequests) {
  start();
  HttpClient client(server->port());
  std::string bytes;
  for (int i = 0; i < 300; ++i) bytes += "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
  client.send(bytes);
  for (int i = 0; i < 300; ++i) ASSERT_EQ(client.read_response().status, 200);
}

TEST_F(ServerHttpTest, TakesARequestByteByByte) {
  start();
  HttpClient client(server->port());
  const std::string body = completion("say:slow").dump();
  const std::string bytes = fmt::format(
      "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n\r\n{}",
      body.size(), body);
  for (const char byte : bytes) client.send({&byte, 1});
  EXPECT_THAT(client.read_response().body, HasSubstr("slow"));
}

TEST_F(ServerHttpTest, TakesChunkedBodies) {
  start();
  const std::string body = completion("say:chunks").dump();
  const ClientResponse response = send_raw(
      fmt::format("POST /v1/completions HTTP/1.1\r\nContent-Type: application/json; charset=utf-8"
                  "\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                  5, body.substr(0, 5), body.size() - 5, body.substr(5)));
  EXPECT_THAT(response.body, HasSubstr("chunks"));
}

TEST_F(ServerHttpTest, StreamsToOldClientsUntilTheConnectionEnds) {
  start();
  const std::string body = completion("say:old", {{"stream", true}}).dump();
  const ClientResponse response = send_raw(fmt::format(
      "POST /v1/completions HTTP/1.0\r\nContent-Length: {}\r\nContent-Type: application/json"
      "\r\n\r\n{}",
      body.size(), body));
  EXPECT_EQ(response.headers.count("transfer-encoding"), 0U);
  EXPECT_EQ(response.headers.at("connection"), "close");
  EXPECT_EQ(response.events().back(), "[DONE]");
}

TEST_F(ServerHttpTest, SendsNoBodyToHead) {
  start();
  HttpClient client(server->port());
  const ClientResponse response = client.request("HEAD", "/v1/models");
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(response.headers.at("content-length"), "0");
  EXPECT_EQ(client.request("GET", "/health").status, 200);
}

TEST_F(ServerHttpTest, TellsTheMethodsToOptions) {
  start();
  HttpClient client(server->port());
  const ClientResponse response = client.request("OPTIONS", "/v1/completions");
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.headers.at("allow"), "POST, OPTIONS");
}

TEST_F(ServerHttpTest, RefusesOtherMethods) {
  start();
  EXPECT_EQ(get("/v1/completions").status, 405);
  const ClientResponse response = post("/v1/models", Json::object());
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.headers.at("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(send_raw("BREW /health HTTP/1.1\r\n\r\n").status, 405);
}

TEST_F(ServerHttpTest, RefusesOtherContentTypes) {
  start();
  const ClientResponse response = send_raw(
      "POST /v1/completions HTTP/1.1\r\nContent-Type: text/plain\r\n"
      "Content-Length: 2\r\n\r\n{}");
  EXPECT_EQ(response.status, 415);
  EXPECT_EQ(Json::parse(response.body)["error"]["code"], "unsupported_media_type");
}

TEST_F(ServerHttpTest, RefusesLargeBodiesBeforeTheyCome) {
  options.max_body_bytes = 1000;
  start();
  HttpClient client(server->port());
  client.send(
      "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
      "Content-Length: 1001\r\n\r\n");
  const ClientResponse response = client.read_response();
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(Json::parse(response.body)["error"]["message"],
            "The request's body is larger than 1000 bytes");
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(ServerHttpTest, LetsAClientReadTheRefusalOfWhatItStillSends) {
  start();
  HttpClient client(server->port());
  client.send(
      "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
      "Content-Length: 100000000\r\n\r\n");
  EXPECT_TRUE(client.send(std::string(8'000'000, ' ')));
  EXPECT_EQ(client.read_response().status, 413);
}

TEST_F(ServerHttpTest, RefusesLargeChunkedBodies) {
  options.max_body_bytes = 1000;
  start();
  EXPECT_EQ(send_raw("POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n"
                     "3e9\r\n" +
                     std::string(1001, ' ') + "\r\n0\r\n\r\n")
                .status,
            413);
}

TEST_F(ServerHttpTest, TakesABodyOfTheLargestSize) {
  start();
  Json body = completion("say:big");
  body["user"] = std::string(static_cast<size_t>(options.max_body_bytes) - body.dump().size() -
                                 std::string(R"("user":"",)").size(),
                             'x');
  ASSERT_EQ(static_cast<int64_t>(body.dump().size()), options.max_body_bytes);
  EXPECT_EQ(post("/v1/completions", body).status, 200);
}

TEST_F(ServerHttpTest, RefusesLargeHeads) {
  start();
  const std::string head = "GET /health HTTP/1.1\r\nX: ";
  EXPECT_EQ(send_raw(head + std::string(20'000, 'x') + "\r\n\r\n").status, 431);
  EXPECT_EQ(send_raw(head + std::string(20'000, 'x')).status, 431) << "without an end";
}

TEST_F(ServerHttpTest, RefusesWhatIsNotHttp) {
  start();
  for (const char* bytes :
       {"hello\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "GET /health HTTP/9.9\r\n\r\n", "GET /health HTTP/1.1\r\nno colon\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"}) {
    const ClientResponse response = send_raw(bytes);
    EXPECT_EQ(response.status, 400) << bytes;
    EXPECT_EQ(Json::parse(response.body)["error"]["type"], "invalid_request_error");
  }
}

TEST_F(ServerHttpTest, ContinuesWhenExpected) {
  start();
  const std::string body = completion("say:go").dump();
  HttpClient client(server->port());
  const auto head = [](size_t size, const char* expect) {
    return fmt::format(
        "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
        "Content-Length: {}\r\nExpect: {}\r\n\r\n",
        size, expect);
  };
  client.send(head(body.size(), "100-continue"));
  EXPECT_TRUE(client.read_until("HTTP/1.1 100 Continue\r\n\r\n"));
  client.send(body);
  EXPECT_THAT(client.read_response().body, HasSubstr("go"));
  EXPECT_EQ(send_raw(head(100'000'000, "100-continue")).status, 413);
  EXPECT_EQ(send_raw(head(5, "a miracle")).status, 417);
}

TEST_F(ServerHttpTest, ClosesIdleConnections) {
  options.idle_timeout = 50ms;
  start();
  HttpClient client(server->port());
  EXPECT_EQ(client.request("GET", "/health").status, 200);
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(ServerHttpTest, GivesUpOnRequestsThatDoNotArrive) {
  options.read_timeout = 50ms;
  start();
  EXPECT_EQ(send_raw("GET /health HTTP/1.1\r\n").status, 408);
  EXPECT_EQ(send_raw("POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
                     "Content-Length: 10\r\n\r\n{")
                .status,
            408);
}

TEST_F(ServerHttpTest, LetsConnectionsBeyondTheLimitWait) {
  options.max_connections = 2;
  start();
  auto first = std::make_unique<HttpClient>(server->port());
  HttpClient second(server->port());
  EXPECT_EQ(first->request("GET", "/health").status, 200);
  EXPECT_EQ(second.request("GET", "/health").status, 200);
  HttpClient third(server->port());
  third.send_request("GET", "/health");
  first.reset();
  EXPECT_EQ(third.read_response().status, 200);
}

TEST_F(ServerHttpTest, SurvivesRandomBytes) {
  start();
  std::mt19937 random(7);
  const std::string valid =
      "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n";
  for (int round = 0; round < 200; ++round) {
    std::string bytes = valid;
    for (int i = 0; i < 4; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    HttpClient client(server->port());
    client.send(std::string_view(bytes).substr(0, random() % bytes.size()));
  }
  EXPECT_EQ(get("/health").status, 200);
}

}  // namespace
}  // namespace yiti::testing
