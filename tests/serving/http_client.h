// A blocking HTTP client on a bare socket, which can also misbehave.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace yiti::testing {

struct ClientResponse {
  int status = 0;                              ///< 0: the connection ended before the head did
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;                            ///< without the chunked coding
  bool complete = false;                       ///< the body ended as its framing says
  /// The data of its server-sent events.
  std::vector<std::string> events() const;
};

class HttpClient {
 public:
  explicit HttpClient(uint16_t port, const char* address = "127.0.0.1");
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// False when the server has closed.
  bool send(std::string_view bytes);
  void send_request(std::string_view method, std::string_view path, std::string_view body = {},
                    std::string_view headers = {});
  ClientResponse read_response(bool head_only = false);
  ClientResponse request(std::string_view method, std::string_view path, std::string_view body = {},
                         std::string_view headers = {});
  /// Reads until `text` came; false when the connection ended before.
  bool read_until(std::string_view text);
  /// Whether the server closes (nothing more comes) within its time limit.
  bool closed_by_server();
  void close();

 private:
  bool fill();
  bool read_exactly(size_t size, std::string& into);
  bool read_line(std::string& line);
  void read_chunks(ClientResponse& response);

  int socket_;
  std::string buffer_;
};

}  // namespace yiti::testing
