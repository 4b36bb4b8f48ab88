#include "tests/serving/http_client.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace yiti::testing {

std::vector<std::string> ClientResponse::events() const {
  std::vector<std::string> result;
  std::string_view rest = body;
  while (rest.starts_with("data: ") || rest.starts_with("event: ")) {
    if (rest.starts_with("event: ")) rest.remove_prefix(rest.find('\n') + 1);
    const size_t end = rest.find("\n\n");
    if (end == std::string_view::npos) break;
    result.emplace_back(rest.substr(6, end - 6));
    rest.remove_prefix(end + 2);
  }
  EXPECT_EQ(rest, "") << "after the last event";
  return result;
}

HttpClient::HttpClient(uint16_t port, const char* address)
    : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const timeval limit = {.tv_sec = 20, .tv_usec = 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  sockaddr_in endpoint = {};
  endpoint.sin_family = AF_INET;
  endpoint.sin_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET, address, &endpoint.sin_addr), 1);
  const auto* generic = static_cast<const sockaddr*>(static_cast<const void*>(&endpoint));
  EXPECT_EQ(connect(socket_, generic, sizeof(endpoint)), 0);
}

HttpClient::~HttpClient() { close(); }

void HttpClient::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

bool HttpClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void HttpClient::send_request(std::string_view method, std::string_view path, std::string_view body,
                              std::string_view headers) {
  std::string about_body;
  if (method == "POST") about_body = fmt::format("Content-Length: {}\r\n", body.size());
  if (method == "POST" && headers.find("Content-Type:") == std::string_view::npos) {
    about_body += "Content-Type: application/json\r\n";
  }
  send(fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}{}\r\n{}", method, path, about_body,
                   headers, body));
}

ClientResponse HttpClient::request(std::string_view method, std::string_view path,
                                   std::string_view body, std::string_view headers) {
  send_request(method, path, body, headers);
  return read_response(method == "HEAD");
}

bool HttpClient::fill() {
  char chunk[4096];
  const ssize_t got = recv(socket_, chunk, sizeof(chunk), 0);
  if (got <= 0) return false;
  buffer_.append(chunk, static_cast<size_t>(got));
  return true;
}

bool HttpClient::read_until(std::string_view text) {
  while (buffer_.find(text) == std::string::npos) {
    if (!fill()) return false;
  }
  buffer_.erase(0, buffer_.find(text) + text.size());
  return true;
}

bool HttpClient::closed_by_server() {
  char byte = 0;
  return buffer_.empty() && recv(socket_, &byte, 1, 0) == 0;
}

bool HttpClient::read_exactly(size_t size, std::string& into) {
  while (buffer_.size() < size) {
    if (!fill()) return false;
  }
  into += buffer_.substr(0, size);
  buffer_.erase(0, size);
  return true;
}

bool HttpClient::read_line(std::string& line) {
  size_t end = 0;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!fill()) return false;
  }
  line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return true;
}

void HttpClient::read_chunks(ClientResponse& response) {
  std::string line;
  while (read_line(line)) {
    const size_t size = std::stoul(line, nullptr, 16);
    std::string chunk;
    if (!read_exactly(size + 2, chunk)) return;
    response.body += chunk.substr(0, size);
    if (size == 0) {
      response.complete = true;
      return;
    }
  }
}

ClientResponse HttpClient::read_response(bool head_only) {
  ClientResponse response;
  std::string line;
  if (!read_line(line) || line.size() < 12) return response;
  response.status = std::stoi(line.substr(9, 3));
  while (read_line(line) && !line.empty()) {
    const size_t colon = line.find(": ");
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    response.headers[name] = line.substr(colon + 2);
  }
  const auto length = response.headers.find("content-length");
  if (head_only || response.status == 204) {
    response.complete = true;
  } else if (length != response.headers.end()) {
    response.complete = read_exactly(std::stoul(length->second), response.body);
  } else if (response.headers.count("transfer-encoding") > 0) {
    read_chunks(response);
  } else {
    while (fill()) continue;
    response.body = std::exchange(buffer_, {});
    response.complete = true;
  }
  return response;
}

}  // namespace yiti::testing
