#include "serving/transport.h"

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <utility>

#include "core/error.h"

namespace yiti::serving {
namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;

class TcpTransport final : public Transport {
 public:
  explicit TcpTransport(Socket socket) : socket_(std::move(socket)) {}
  void begin(Begun begun) override { begun({}); }
  void read_some(asio::mutable_buffer to, Moved moved) override {
    socket_.async_read_some(to, std::move(moved));
  }
  void write_some(asio::const_buffer from, Moved moved) override {
    socket_.async_write_some(from, std::move(moved));
  }
  void end_writing() override {
    ErrorCode ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }
  Socket& socket() override { return socket_; }

 private:
  Socket socket_;
};

class TlsTransport final : public Transport, public std::enable_shared_from_this<TlsTransport> {
 public:
  TlsTransport(Socket socket, ssl::context& context) : stream_(std::move(socket), context) {}
  void begin(Begun begun) override {
    stream_.async_handshake(ssl::stream_base::server, std::move(begun));
  }
  void read_some(asio::mutable_buffer to, Moved moved) override {
    stream_.async_read_some(to, std::move(moved));
  }
  void write_some(asio::const_buffer from, Moved moved) override {
    stream_.async_write_some(from, std::move(moved));
  }
  void end_writing() override {
    stream_.async_shutdown([self = shared_from_this()](ErrorCode) {});
  }
  Socket& socket() override { return stream_.next_layer(); }

 private:
  ssl::stream<Socket> stream_;
};

}  // namespace

struct TransportMaker::Tls {
  ssl::context context{ssl::context::tls_server};
};

TransportMaker::TransportMaker(const std::string& certificate, const std::string& key) {
  constexpr const char* kWhere = "server";
  check(certificate.empty() == key.empty(), kWhere,
        "TLS has only one of certificate and key; wants both or none");
  if (certificate.empty()) return;
  tls_ = std::make_unique<Tls>();
  const auto load = [](const std::string& what, const std::string& path, const auto& f) {
    try {
      f();
    } catch (const boost::system::system_error& error) {
      fail(Code::kInvalidArgument, kWhere, "the {} in {} cannot be used: {}", what, path,
           error.code().message());
    }
  };
  tls_->context.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 |
                            ssl::context::no_tlsv1_1);
  load("certificate", certificate, [&] { tls_->context.use_certificate_chain_file(certificate); });
  load("key", key, [&] { tls_->context.use_private_key_file(key, ssl::context::pem); });
}

TransportMaker::~TransportMaker() = default;

std::shared_ptr<Transport> TransportMaker::make(Transport::Socket socket) const {
  if (tls_ == nullptr) return std::make_shared<TcpTransport>(std::move(socket));
  return std::make_shared<TlsTransport>(std::move(socket), tls_->context);
}

}  // namespace yiti::serving
