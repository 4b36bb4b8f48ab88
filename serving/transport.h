// A client's bytes: over TCP, or over TLS. Only server.cpp, connection.cpp and transport.cpp
// include this: it brings in the HTTP library.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>

namespace yiti::serving {

/// All on the executor of the socket that it is made with; one read and one write at a time.
class Transport {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using ErrorCode = boost::system::error_code;
  using Begun = std::function<void(ErrorCode)>;
  using Moved = std::function<void(ErrorCode, size_t)>;

  virtual ~Transport() = default;
  /// Before anything is read or written.
  virtual void begin(Begun begun) = 0;
  virtual void read_some(boost::asio::mutable_buffer to, Moved moved) = 0;
  virtual void write_some(boost::asio::const_buffer from, Moved moved) = 0;
  /// Tells the client that no more comes, behind all that was written.
  virtual void end_writing() = 0;
  virtual Socket& socket() = 0;
};

/// Makes the transports of accepted sockets. Thread-safe.
class TransportMaker {
 public:
  /// `certificate` (a chain) and `key` are PEM files; both empty: no TLS. Throws kInvalidArgument
  /// for files that are no such pair.
  TransportMaker(const std::string& certificate, const std::string& key);
  ~TransportMaker();
  std::shared_ptr<Transport> make(Transport::Socket socket) const;

 private:
  struct Tls;
  std::unique_ptr<Tls> tls_;  // null: without
};

}  // namespace yiti::serving
