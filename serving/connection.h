// One client's connection: reads requests, one after the other, and sends what answers them.
// Only server.cpp and connection.cpp include this: it brings in the HTTP library.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "serving/http.h"
#include "serving/options.h"
#include "serving/router.h"
#include "serving/transport.h"

namespace yiti::serving {

/// What all connections of a server share; outlives them.
struct ConnectionContext {
  const ServerOptions& options;
  const Router& router;
  std::atomic<bool> stopping = false;
  /// Called once for each connection, on its strand, when it is over.
  std::function<void(const std::shared_ptr<class Connection>&)> closed = {};
};

/// Reads without pause, also while it answers: so it sees the client go, and what a client sends
/// ahead waits for its turn. All happens on the socket's strand, except where it says otherwise.
class Connection : public Exchange, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Transport> transport, ConnectionContext& context);
  /// Begins to read. From any thread, once.
  void start();
  /// Ends when the request under way is answered, or now when there is none. From any thread.
  void drain();
  /// Ends with an error for the request under way. From any thread.
  void shut_down();
  /// Lets go of the request and of the socket. On the strand, or when no thread runs it any more.
  void abandon();

  void respond(HttpResponse response) override;
  void begin_stream(HttpResponse head) override;
  bool write(std::string_view bytes) override;
  void finish() override;
  void post(std::function<void()> work) override;

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using ErrorCode = boost::system::error_code;
  enum class State : uint8_t {
    kIdle,       // between requests
    kHead,       // reads a request's head
    kBody,       // and its body
    kAnswering,  // somebody answers
    kLingering,  // said all, waits for the client to close: closing first could lose the answer
    kClosed,
  };

  void on_begin(ErrorCode error);
  void read();
  void on_read(ErrorCode error, size_t bytes);
  void advance();
  void begin_request();
  bool advance_head();
  bool advance_body();
  /// Feeds the parser; false where it wants more bytes or the request was refused.
  bool parse();
  bool accept_head();
  void answer();
  void refuse(const HttpResponse& response);
  void refuse_unparsable(ErrorCode error);
  void refuse_for_memory();

  void send_head(const HttpResponse& response, std::string_view framing);
  void flush();
  void on_write(ErrorCode error, size_t bytes);
  void answered();
  void linger();
  void set_deadline(std::chrono::milliseconds timeout);
  void on_deadline();
  void close();
  /// Runs `f`; what it throws (such as for want of memory) closes this connection only.
  template <class F>
  void guard(F&& f);
  void log(std::string_view text) const;

  const std::shared_ptr<Transport> transport_;
  boost::asio::steady_timer deadline_;
  uint64_t deadline_id_ = 0;  // of the latest deadline: an older one that still fires is void
  ConnectionContext& context_;
  State state_ = State::kIdle;

  std::array<char, 16 << 10> chunk_;
  bool reading_ = false;
  std::string input_;  // read but not parsed
  std::optional<Parser> parser_;
  HttpRequest request_;
  std::string peer_;
  std::shared_ptr<Activity> activity_;
  std::shared_ptr<Place> upload_;  // among the large bodies that are held at once

  std::string queued_;   // to be written
  std::string writing_;  // being written, from written_ on
  size_t written_ = 0;
  bool write_under_way_ = false;
  bool last_queued_ = false;  // the answer's last byte is in queued_ or behind it
  bool keep_alive_ = false;
  bool chunked_ = false;
  bool head_only_ = false;
  int status_ = 0;
  std::chrono::steady_clock::time_point begun_;
};

}  // namespace yiti::serving
