#include "serving/page_proxy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <string>

#include "serving/api_error.h"
#include "serving/query.h"

namespace yiti::serving {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace ssl = asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;

// What belongs to a connection or frames a message (RFC 9110, 7.6.1), and not to who asks.
constexpr std::array<std::string_view, 8> kNotForwarded = {
    "connection", "content-length", "expect",  "host",
    "te",         "trailer",        "upgrade", "transfer-encoding"};

constexpr std::chrono::milliseconds kLook{50};  // between two looks at the clock

struct Address {
  bool secure = false;
  std::string host;  // without the brackets of an IPv6 address
  std::string port;
  std::string authority;  // host and port as they were written
  std::string target;     // path and query
};

[[noreturn]] void refuse_url(std::string_view url) {
  reject_field("url",
               fmt::format("'url' is '{}'; wants http://HOST[:PORT]/… or https://…, without a "
                           "user, in characters that a URL may have",
                           url.substr(0, 256)));
}

Address parse_url(std::string_view url) {
  Address address;
  address.secure = url.starts_with("https://");
  if (!address.secure && !url.starts_with("http://")) refuse_url(url);
  const auto is_plain = [](char c) { return c > ' ' && c < '\x7f'; };
  if (!std::ranges::all_of(url, is_plain)) refuse_url(url);
  std::string_view rest = url.substr(address.secure ? 8 : 7);
  rest = rest.substr(0, rest.find('#'));
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  address.authority = rest.substr(0, end);
  address.target = rest.substr(end);
  if (!address.target.starts_with('/')) address.target.insert(0, "/");
  std::string_view host = address.authority;
  const size_t colon = host.rfind(':');
  address.port = address.secure ? "443" : "80";
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    address.port = host.substr(colon + 1);
    host = host.substr(0, colon);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (host.empty() || host.find('@') != std::string_view::npos || address.port.empty() ||
      !std::ranges::all_of(address.port, is_digit)) {
    refuse_url(url);
  }
  address.host = host;
  return address;
}

http::request<http::string_body> request_for(const HttpRequest& request, const Address& address) {
  http::request<http::string_body> sent(
      request.method == "POST" ? http::verb::post : http::verb::get, address.target, 11);
  for (const auto& [name, value] : request.proxied) {
    const auto is_name = [sent = std::string_view(name)](std::string_view one) {
      return boost::beast::iequals(one, sent);
    };
    if (name.empty() || std::ranges::any_of(kNotForwarded, is_name)) {
      throw ApiException({.message = fmt::format("the header '{}' is not forwarded", name)});
    }
    sent.set(name, value);
  }
  sent.set(http::field::host, address.authority);
  sent.set(http::field::connection, "close");
  sent.body() = request.body;
  sent.prepare_payload();
  return sent;
}

ApiError gateway_error(int status, std::string message) {
  return {.status = status,
          .message = std::move(message),
          .type = "server_error",
          .code = status == 504 ? "timeout" : "bad_gateway"};
}

// One exchange of messages, each step of which begins the next.
class Fetch {
 public:
  Fetch(Address address, http::request<http::string_body> request, const ProxyLimits& limits)
      : address_(std::move(address)), request_(std::move(request)), limits_(limits) {
    parser_.body_limit(static_cast<uint64_t>(limits.max_bytes));
    if (!address_.secure) return;
    tls_.set_default_verify_paths();
    stream_.set_verify_mode(ssl::verify_peer);
    stream_.set_verify_callback(ssl::host_name_verification(address_.host));
    // SSL_set_tlsext_host_name(), a macro with a cast of another style.
    std::string host = address_.host;
    SSL_ctrl(stream_.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             host.data());
  }

  http::response<http::string_body> run() {
    resolver_.async_resolve(address_.host, address_.port,
                            [this](error_code error, const tcp::resolver::results_type& found) {
                              if (!ends_with(error)) connect(found);
                            });
    const auto deadline = std::chrono::steady_clock::now() + limits_.timeout;
    while (!end_ && !*limits_.stop && std::chrono::steady_clock::now() < deadline) {
      io_.run_for(kLook);
    }
    if (!end_) {
      throw ApiException(gateway_error(504, fmt::format("{} took too long", address_.authority)));
    }
    if (*end_) {
      throw ApiException(gateway_error(
          502, fmt::format("no answer from {}: {}", address_.authority, end_->message())));
    }
    return parser_.release();
  }

 private:
  void connect(const tcp::resolver::results_type& found) {
    asio::async_connect(stream_.next_layer(), found, [this](error_code error, const auto&) {
      if (ends_with(error)) return;
      if (!address_.secure) return talk(stream_.next_layer());
      stream_.async_handshake(ssl::stream_base::client, [this](error_code refused) {
        if (!ends_with(refused)) talk(stream_);
      });
    });
  }

  template <class Stream>
  void talk(Stream& stream) {
    http::async_write(stream, request_, [this, &stream](error_code error, size_t) {
      if (ends_with(error)) return;
      http::async_read(stream, buffer_, parser_, [this](error_code failed, size_t) {
        end_ = parser_.is_done() ? error_code() : failed;
      });
    });
  }

  bool ends_with(error_code error) {
    if (error) end_ = error;
    return end_.has_value();
  }

  const Address address_;
  const http::request<http::string_body> request_;
  const ProxyLimits limits_;
  asio::io_context io_;
  ssl::context tls_{ssl::context::tls_client};
  tcp::resolver resolver_{io_};
  ssl::stream<tcp::socket> stream_{io_, tls_};
  boost::beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  std::optional<error_code> end_;  // once it is over: why
};

}  // namespace

HttpResponse fetch_for_page(const HttpRequest& request, const ProxyLimits& limits) {
  Address address = parse_url(query_value(request.query, "url"));
  auto sent = request_for(request, address);
  auto answer = Fetch(std::move(address), std::move(sent), limits).run();
  HttpResponse response;
  response.status = answer.result_int();
  response.content_type = std::string(answer[http::field::content_type]);
  response.body = std::move(answer.body());
  response.headers = {{"Content-Security-Policy", "sandbox; default-src 'none'"},
                      {"X-Content-Type-Options", "nosniff"}};
  return response;
}

}  // namespace yiti::serving
