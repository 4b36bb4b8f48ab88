// A server on the fake generator, for tests that speak HTTP to it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "serving/server.h"
#include "tests/serving/fake_generator.h"
#include "tests/serving/http_client.h"

namespace yiti::testing {

using Json = nlohmann::ordered_json;

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    options.models = {{.name = "fake/model",
                       .generator = &generator,
                       .text = &text,
                       .sampling = {},
                       .created_unix_s = 1700000000}};
    options.log = [this](std::string_view line) {
      const std::lock_guard lock(log_mutex_);
      log_.emplace_back(line);
    };
  }
  void TearDown() override {
    if (server != nullptr) server->stop();
  }

  void start() {
    server = std::make_unique<Server>(options);
    const uint16_t port = server->start().value();
    ASSERT_EQ(port, server->port());
  }
  std::string log() {
    const std::lock_guard lock(log_mutex_);
    std::string all;
    for (const std::string& line : log_) all += line + "\n";
    return all;
  }
  /// Whether `happens` becomes true within 20 seconds.
  template <class F>
  static bool eventually(F happens) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!happens()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
  ClientResponse post(std::string_view path, const Json& body, std::string_view headers = {}) {
    return HttpClient(server->port()).request("POST", path, body.dump(), headers);
  }
  ClientResponse get(std::string_view path, std::string_view headers = {}) {
    return HttpClient(server->port()).request("GET", path, {}, headers);
  }
  static Json chat(const std::string& content, const Json& more = Json::object()) {
    Json body = {{"model", "fake/model"}, {"messages", {{{"role", "user"}, {"content", content}}}}};
    body.update(more);
    return body;
  }
  static Json completion(const Json& prompt, const Json& more = Json::object()) {
    Json body = {{"model", "fake/model"}, {"prompt", prompt}};
    body.update(more);
    return body;
  }

  TextModel text = fake_text_model();
  FakeGenerator generator;
  ServerOptions options;
  std::unique_ptr<Server> server;

 private:
  std::mutex log_mutex_;
  std::vector<std::string> log_;
};

}  // namespace yiti::testing
