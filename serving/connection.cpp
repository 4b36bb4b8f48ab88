#include "serving/connection.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <boost/beast/http/error.hpp>
#include <ctime>
#include <new>
#include <utility>

#include "serving/api_error.h"
#include "serving/http_head.h"

namespace yiti::serving {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using std::chrono::milliseconds;

// What a client may send ahead of its answer; reading pauses there.
constexpr size_t kMaxAhead = 64 << 10;
constexpr std::string_view kProxyHeader = "X-Llama-Server-Proxy-Header-";
constexpr milliseconds kLingerTime{2'000};
constexpr milliseconds kLingerTimeStopping{200};
constexpr milliseconds kShutDownTime{1'000};

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

ApiError too_large(uint64_t limit) {
  return {.status = 413,
          .message = fmt::format("The request's body is larger than {} bytes", limit),
          .code = "bad_request"};
}

}  // namespace

Connection::Connection(std::shared_ptr<Transport> transport, ConnectionContext& context)
    : transport_(std::move(transport)),
      deadline_(transport_->socket().get_executor()),
      context_(context) {
  ErrorCode ignored;
  const auto endpoint = transport_->socket().remote_endpoint(ignored);
  if (!ignored) peer_ = endpoint.address().to_string();
}

template <class F>
void Connection::guard(F&& f) {
  try {
    f();
  } catch (const std::bad_alloc&) {
    refuse_for_memory();
  } catch (const std::exception& error) {
    log(error.what());
    close();
  }
}

// Where the request was still read, its own bytes can be let go for the answer.
void Connection::refuse_for_memory() {
  log("out of memory");
  if (state_ != State::kHead && state_ != State::kBody) return close();
  parser_.reset();
  std::string().swap(input_);
  try {
    refuse(error_response(memory_error()));
  } catch (const std::exception&) {
    close();
  }
}

void Connection::start() {
  post([this] {
    ErrorCode ignored;
    transport_->socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    set_deadline(context_.options.read_timeout);
    transport_->begin([self = shared_from_this()](ErrorCode error) {
      self->guard([&] { self->on_begin(error); });
    });
  });
}

void Connection::on_begin(ErrorCode error) {
  if (state_ == State::kClosed) return;
  if (error) {
    log(fmt::format("no TLS with {}: {}", peer_, error.message()));
    return close();
  }
  set_deadline(context_.options.idle_timeout);
  read();
}

void Connection::drain() {
  post([this] {
    if (state_ == State::kIdle && input_.empty()) close();
    if (state_ == State::kLingering) set_deadline(kLingerTimeStopping);
  });
}

void Connection::shut_down() {
  post([this] {
    keep_alive_ = false;
    if (state_ == State::kClosed) return;
    if (state_ != State::kAnswering) return close();
    const std::shared_ptr<Activity> activity = activity_;  // which may end itself
    if (activity != nullptr) activity->shut_down();
    set_deadline(kShutDownTime);
  });
}

void Connection::abandon() {
  const std::shared_ptr<Activity> activity = std::exchange(activity_, nullptr);
  if (activity != nullptr) activity->client_gone();
  ErrorCode ignored;
  transport_->socket().close(ignored);
}

void Connection::post(std::function<void()> work) {
  asio::post(transport_->socket().get_executor(),
             [self = shared_from_this(), work = std::move(work)] { self->guard(work); });
}

void Connection::read() {
  if (reading_ || state_ == State::kClosed) return;
  if (state_ == State::kAnswering && input_.size() >= kMaxAhead) return;
  reading_ = true;
  transport_->read_some(asio::buffer(chunk_),
                        [self = shared_from_this()](ErrorCode error, size_t bytes) {
                          self->guard([&] { self->on_read(error, bytes); });
                        });
}

void Connection::on_read(ErrorCode error, size_t bytes) {
  reading_ = false;
  if (state_ == State::kClosed) return;
  if (error) {
    // Also at an orderly end: a client that only closes its sending side is taken to be gone.
    if (state_ == State::kAnswering) log("the client went away");
    return close();
  }
  if (state_ != State::kLingering) input_.append(chunk_.data(), bytes);
  advance();
}

void Connection::advance() {
  bool goes_on = true;
  while (goes_on) {
    switch (state_) {
      case State::kIdle:
        goes_on = !input_.empty();
        if (goes_on) begin_request();
        break;
      case State::kHead: goes_on = advance_head(); break;
      case State::kBody: goes_on = advance_body(); break;
      case State::kAnswering:
      case State::kLingering:
      case State::kClosed: goes_on = false; break;
    }
  }
  read();
}

void Connection::begin_request() {
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(context_.options.max_header_bytes));
  parser_->body_limit(static_cast<uint64_t>(context_.router.largest_body()));
  begun_ = std::chrono::steady_clock::now();
  request_ = {};
  state_ = State::kHead;
  set_deadline(context_.options.read_timeout);
}

bool Connection::parse() {
  ErrorCode error;
  const size_t used = parser_->put(asio::buffer(input_), error);
  input_.erase(0, used);
  if (error == http::error::need_more) return false;
  if (!error) return true;
  refuse_unparsable(error);
  return false;
}

bool Connection::advance_head() {
  if (input_.empty() || !parse()) return false;
  if (!parser_->is_header_done()) return !input_.empty();
  return accept_head();
}

bool Connection::accept_head() {
  const auto& message = parser_->get();
  const std::string_view target = view(message.target());
  const size_t question = target.find('?');
  request_.method = view(message.method_string());
  request_.path = target.substr(0, question);
  if (question != std::string_view::npos) request_.query = target.substr(question + 1);
  request_.authorization = view(message[http::field::authorization]);
  request_.content_type = view(message[http::field::content_type]);
  request_.accept = view(message[http::field::accept]);
  request_.host = view(message[http::field::host]);
  request_.origin = view(message[http::field::origin]);
  request_.api_key = view(message["X-Api-Key"]);
  request_.request_id = view(message["X-Request-Id"]);
  request_.conversation = view(message["X-Conversation-Id"]);
  request_.asks_to_ask = !message["Access-Control-Request-Method"].empty();
  request_.proxied.clear();
  for (const auto& field : message) {
    const std::string_view name = view(field.name_string());
    if (!boost::beast::iequals(name.substr(0, kProxyHeader.size()), kProxyHeader)) continue;
    request_.proxied.emplace_back(name.substr(kProxyHeader.size()), view(field.value()));
  }
  request_.peer = peer_;
  keep_alive_ = message.keep_alive();
  chunked_ = message.version() >= 11;
  head_only_ = message.method() == http::verb::head;
  state_ = State::kBody;
  if (parser_->is_done()) return true;
  // Refused before the client sends, and the server holds, the whole body.
  if (const auto refused = context_.router.precheck(request_)) {
    refuse(*refused);
    return false;
  }
  const auto limit = static_cast<uint64_t>(context_.router.body_limit(request_));
  if (parser_->content_length_remaining().value_or(0) > limit) {
    refuse(error_response(too_large(limit)));
    return false;
  }
  parser_->body_limit(limit);
  if (limit > static_cast<uint64_t>(context_.options.max_body_bytes)) {
    upload_ = context_.router.begin_upload();
    if (upload_ == nullptr) {
      refuse(error_response(busy_error("Other files are being uploaded; try again soon.")));
      return false;
    }
  }
  const std::string_view expect = view(message[http::field::expect]);
  if (!expect.empty() && !boost::beast::iequals(message[http::field::expect], "100-continue")) {
    refuse(error_response({.status = 417, .message = "Expect wants to be 100-continue"}));
    return false;
  }
  if (!expect.empty() && input_.empty()) {
    queued_ += "HTTP/1.1 100 Continue\r\n\r\n";
    flush();
  }
  parser_->eager(true);
  return true;
}

bool Connection::advance_body() {
  if (!parser_->is_done()) {
    if (input_.empty() || !parse()) return false;
    if (!parser_->is_done()) return !input_.empty();
  }
  answer();
  return false;
}

void Connection::answer() {
  state_ = State::kAnswering;
  set_deadline({});
  request_.body = std::move(parser_->get().body());
  parser_.reset();
  if (context_.stopping) return respond(error_response(stopping_error()));
  activity_ = context_.router.handle(request_, *this);
  request_.body = {};
}

// The rest of the request is not read, so that the connection cannot be used again.
void Connection::refuse(const HttpResponse& response) {
  state_ = State::kAnswering;
  keep_alive_ = false;
  respond(response);
}

void Connection::refuse_unparsable(ErrorCode error) {
  ApiError refusal = {.status = 400,
                      .message = "The HTTP request is malformed: " + error.message(),
                      .code = "bad_request"};
  if (error == http::error::header_limit) {
    refusal.status = 431;
    refusal.message = fmt::format("The request's head is larger than {} bytes",
                                  context_.options.max_header_bytes);
  } else if (error == http::error::body_limit) {
    refusal = too_large(static_cast<uint64_t>(context_.router.body_limit(request_)));
  }
  refuse(error_response(refusal));
}

void Connection::respond(HttpResponse response) {
  const bool no_body = response.status == 204;
  send_head(response, no_body ? "" : fmt::format("Content-Length: {}", response.body.size()));
  if (!head_only_ && !no_body) queued_ += response.body;
  last_queued_ = true;
  flush();
}

void Connection::begin_stream(HttpResponse head) {
  if (!chunked_) keep_alive_ = false;  // HTTP/1.0: the body ends with the connection
  send_head(head, chunked_ ? "Transfer-Encoding: chunked" : "");
  flush();
}

void Connection::send_head(const HttpResponse& response, std::string_view framing) {
  if (context_.stopping) keep_alive_ = false;
  status_ = response.status;
  HttpResponse head{.status = response.status,
                    .content_type = response.content_type,
                    .body = {},
                    .headers = response.headers};
  context_.router.complete(head, request_);
  queued_ += response_head(head, framing, keep_alive_, std::time(nullptr));
}

bool Connection::write(std::string_view bytes) {
  if (state_ != State::kAnswering) return false;
  const size_t waiting = queued_.size() + writing_.size() - written_;
  if (waiting + bytes.size() > static_cast<size_t>(context_.options.max_buffered_bytes)) {
    log("the client reads too slowly");
    activity_.reset();
    close();
    return false;
  }
  queued_ += chunked_ ? chunk_frame(bytes) : std::string(bytes);
  flush();
  return true;
}

void Connection::finish() {
  if (chunked_) queued_ += chunk_frame({});
  last_queued_ = true;
  flush();
}

void Connection::flush() {
  if (write_under_way_ || state_ == State::kClosed) return;
  if (written_ == writing_.size()) {
    written_ = 0;
    writing_.clear();
    if (queued_.empty()) {
      if (last_queued_) answered();
      return;
    }
    std::swap(writing_, queued_);
  }
  if (state_ == State::kAnswering) set_deadline(context_.options.write_timeout);
  write_under_way_ = true;
  transport_->write_some(asio::buffer(writing_.data() + written_, writing_.size() - written_),
                         [self = shared_from_this()](ErrorCode error, size_t bytes) {
                           self->guard([&] { self->on_write(error, bytes); });
                         });
}

void Connection::on_write(ErrorCode error, size_t bytes) {
  write_under_way_ = false;
  if (state_ == State::kClosed) return;
  if (error) return close();
  written_ += bytes;
  if (written_ == writing_.size() && state_ == State::kAnswering) set_deadline({});
  flush();
}

void Connection::answered() {
  last_queued_ = false;
  activity_.reset();
  upload_.reset();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun_;
  log(fmt::format("{} in {:.1f} ms", status_, took.count()));
  if (!keep_alive_ || context_.stopping) return linger();
  state_ = State::kIdle;
  set_deadline(context_.options.idle_timeout);
  advance();
}

void Connection::linger() {
  state_ = State::kLingering;
  input_.clear();
  transport_->end_writing();
  set_deadline(context_.stopping ? kLingerTimeStopping : kLingerTime);
  read();
}

// Zero: none.
void Connection::set_deadline(milliseconds timeout) {
  const uint64_t id = ++deadline_id_;
  deadline_.cancel();
  if (timeout == milliseconds::zero()) return;
  deadline_.expires_after(timeout);
  deadline_.async_wait([self = shared_from_this(), id](ErrorCode) {
    if (id == self->deadline_id_) self->guard([&] { self->on_deadline(); });
  });
}

void Connection::on_deadline() {
  if (state_ == State::kHead || state_ == State::kBody) {
    refuse(error_response({.status = 408, .message = "The request took too long to arrive"}));
    return;
  }
  if (state_ == State::kAnswering) log("timed out while sending");
  close();
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  abandon();
  upload_.reset();
  ++deadline_id_;
  deadline_.cancel();
  context_.closed(shared_from_this());
}

void Connection::log(std::string_view text) const {
  if (!context_.options.log) return;
  context_.options.log(fmt::format("{} {}: {}", request_.method.empty() ? "?" : request_.method,
                                   request_.path.substr(0, 256), text));
}

}  // namespace yiti::serving
