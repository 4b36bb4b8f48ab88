// HTTP messages and the answering of one, free of the HTTP library.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace yiti::serving {

struct HttpRequest {
  std::string method;
  std::string path;   ///< still percent-encoded
  std::string query;  ///< without the question mark
  std::string authorization;
  std::string api_key;  ///< of X-Api-Key
  std::string content_type;
  std::string accept;
  std::string host;
  std::string origin;        ///< of the page for which a browser asks; empty: no page
  std::string request_id;    ///< of X-Request-Id; empty: the client gave none
  std::string conversation;  ///< of X-Conversation-Id; empty: its streams are not kept
  std::string peer;          ///< the client's address
  bool asks_to_ask = false;  ///< has Access-Control-Request-Method
  /// Of X-Llama-Server-Proxy-Header-NAME: NAME and value.
  std::vector<std::pair<std::string, std::string>> proxied;
  std::string body;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// A JSON text, told as it is.
inline HttpResponse json_response(std::string json) {
  HttpResponse response;
  response.body = std::move(json);
  return response;
}

/// Text for people and programs.
inline HttpResponse text_response(std::string text,
                                  std::string content_type = "text/plain; charset=utf-8") {
  return {.status = 200,
          .content_type = std::move(content_type),
          .body = std::move(text),
          .headers = {}};
}

/// The way back to the client of one request. Answer with respond(), or with begin_stream(),
/// write()… and finish(). All but post() belong to the exchange's own strand.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual void respond(HttpResponse response) = 0;
  /// Sends the head; its body is ignored.
  virtual void begin_stream(HttpResponse head) = 0;
  /// False when the client is gone or so slow that it was cut off: the exchange is over.
  virtual bool write(std::string_view bytes) = 0;
  virtual void finish() = 0;
  /// Runs `work` on the strand. From any thread.
  virtual void post(std::function<void()> work) = 0;
};

/// What is answering a request over several turns of the strand.
class Activity {
 public:
  virtual ~Activity() = default;
  /// The client went away: stop, and do not use the exchange again.
  virtual void client_gone() = 0;
  /// The server stops: end the answer now, with an error.
  virtual void shut_down() = 0;
};

/// Begins an answer on an exchange. Returns what goes on with it; null: it is answered already.
using BeginActivity = std::function<std::shared_ptr<Activity>(Exchange&)>;

}  // namespace yiti::serving
