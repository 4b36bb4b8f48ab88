// Addresses that are fetched for pages.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>

#include "tests/serving/server_fixture.h"

namespace yiti::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Takes one connection, and answers what it reads up to an empty line.
class Target {
 public:
  explicit Target(std::string answer) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket_, 1), 0);
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    authority_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    request_ = std::async(std::launch::async, [this, answer = std::move(answer)] {
      const int client = ::accept(socket_, nullptr, nullptr);
      std::string read;
      char bytes[4096];
      while (read.find("\r\n\r\n") == std::string::npos) {
        const ssize_t count = ::read(client, bytes, sizeof(bytes));
        if (count <= 0) break;
        read.append(bytes, static_cast<size_t>(count));
      }
      if (!answer.empty()) {
        ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
        ::shutdown(client, SHUT_WR);
        while (::read(client, bytes, sizeof(bytes)) > 0) continue;
        ::close(client);
      } else {
        held_ = client;
      }
      return read;
    });
  }
  ~Target() {
    ::shutdown(socket_, SHUT_RDWR);
    if (request_.valid()) request_.wait();
    ::close(socket_);
    if (held_ >= 0) ::close(held_);
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  const std::string& authority() const { return authority_; }
  std::string path(const std::string& target = "/") const {
    return "/cors-proxy?url=http://" + authority_ + target;
  }
  std::string request() { return request_.get(); }

 private:
  int socket_;
  int held_ = -1;  // a connection that is not answered
  std::string authority_;
  std::future<std::string> request_;
};

constexpr const char* kOk =
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok";

class PageProxyTest : public ServerTest {
 protected:
  PageProxyTest() { options.cors_proxy = true; }
  std::string message_at(const std::string& path, int status) {
    const ClientResponse response = get(path);
    EXPECT_EQ(response.status, status) << path;
    return Json::parse(response.body)["error"]["message"];
  }
};

TEST_F(PageProxyTest, IsOffByDefault) {
  options.cors_proxy = ServerOptions().cors_proxy;
  start();
  EXPECT_EQ(get("/cors-proxy?url=http://127.0.0.1/").status, 404);
  EXPECT_EQ(post("/cors-proxy?url=http://127.0.0.1/", {}).status, 404);
}

TEST_F(PageProxyTest, ForwardsOnlyHeadersThatAreNamed) {
  options.api_keys = {"key"};
  start();
  Target target(kOk);
  const ClientResponse response =
      get(target.path("/a%3Fb=c%26d"),
          "Authorization: Bearer key\r\nX-Api-Key: key\r\nCookie: session=secret\r\n"
          "Proxy-Authorization: Basic secret\r\nX-Request-Id: mine\r\n"
          "X-Llama-Server-Proxy-Header-Accept: text/html\r\n"
          "x-llama-server-proxy-header-authorization: Bearer other\r\n");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "ok");
  EXPECT_EQ(response.headers.at("content-type"), "text/html");
  const std::string sent = target.request();
  EXPECT_THAT(sent, StartsWith("GET /a?b=c&d HTTP/1.1\r\n"));
  EXPECT_THAT(sent, HasSubstr("Accept: text/html\r\n"));
  EXPECT_THAT(sent, HasSubstr("authorization: Bearer other\r\n"));
  EXPECT_THAT(sent, HasSubstr("Host: " + target.authority() + "\r\n"));
  for (const char* secret : {"Bearer key", "X-Api-Key", "Cookie", "Basic", "mine"}) {
    EXPECT_THAT(sent, Not(HasSubstr(secret)));
  }
}

TEST_F(PageProxyTest, ForwardsABodyAndTellsTheStatus) {
  start();
  Target target("HTTP/1.0 418 \r\n\r\nshort and stout");
  const ClientResponse response =
      HttpClient(server->port())
          .request("POST", target.path(), "{}",
                   "X-Llama-Server-Proxy-Header-Content-Type: application/json\r\n");
  EXPECT_EQ(response.status, 418);
  EXPECT_EQ(response.body, "short and stout");
  const std::string sent = target.request();
  EXPECT_THAT(sent, StartsWith("POST / HTTP/1.1\r\n"));
  EXPECT_THAT(sent, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(sent, HasSubstr("Content-Length: 2\r\n"));
}

TEST_F(PageProxyTest, WhatComesBackIsNoPageOfThisServer) {
  start();
  Target target(kOk);
  const ClientResponse response = get(target.path());
  EXPECT_THAT(response.headers.at("content-security-policy"), HasSubstr("sandbox"));
  EXPECT_EQ(response.headers.at("x-content-type-options"), "nosniff");
  EXPECT_FALSE(response.headers.contains("set-cookie"));
}

TEST_F(PageProxyTest, AsksForAKeyAndRefusesPagesOfOthers) {
  options.api_keys = {"key"};
  start();
  EXPECT_EQ(get("/cors-proxy?url=http://127.0.0.1/").status, 401);
  EXPECT_EQ(get("/cors-proxy?url=http://127.0.0.1/",
                "X-Api-Key: key\r\nOrigin: https://elsewhere.example\r\n")
                .status,
            403);
}

TEST_F(PageProxyTest, TakesAddressesOfHttpOnly) {
  start();
  for (const char* url : {"", "file:///etc/passwd", "ftp://127.0.0.1/", "http://", "http:///path",
                          "http://host:/", "http://host:x/", "http://user:word@127.0.0.1/",
                          "http://host/%20", "http://host/%0D%0AX:y"}) {
    EXPECT_THAT(message_at(std::string("/cors-proxy?url=") + url, 400), HasSubstr("wants http://"))
        << url;
  }
  const ClientResponse framed =
      get("/cors-proxy?url=http://127.0.0.1/", "X-Llama-Server-Proxy-Header-Host: other\r\n");
  EXPECT_EQ(framed.status, 400);
  EXPECT_THAT(framed.body, HasSubstr("the header 'Host' is not forwarded"));
}

TEST_F(PageProxyTest, SaysThatNobodyAnswers) {
  start();
  std::string nowhere;
  { nowhere = Target("").authority(); }
  EXPECT_THAT(message_at("/cors-proxy?url=http://" + nowhere, 502), HasSubstr("refused"));
}

TEST_F(PageProxyTest, TakesNoEndlessAnswers) {
  options.max_body_bytes = 1000;
  start();
  Target large("HTTP/1.1 200 OK\r\n\r\n" + std::string(2000, 'x'));
  EXPECT_THAT(message_at(large.path(), 502), HasSubstr("body limit"));
}

TEST_F(PageProxyTest, WaitsNoLongerThanItsLimit) {
  options.proxy_timeout = 100ms;
  start();
  Target silent("");
  EXPECT_THAT(message_at(silent.path(), 504), HasSubstr("took too long"));
}

TEST_F(PageProxyTest, KeepsNoServerFromItsEnd) {
  options.grace = 10ms;
  start();
  Target silent("");
  HttpClient client(server->port());
  client.send_request("GET", silent.path());
  silent.request();
  const auto begin = std::chrono::steady_clock::now();
  server.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  EXPECT_EQ(client.read_response().status, 503);
}

}  // namespace
}  // namespace yiti::testing
