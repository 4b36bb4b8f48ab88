// The HTTP server: OpenAI's API over generators, in the process that owns them.
#pragma once

#include <cstdint>
#include <memory>

#include "core/error.h"
#include "serving/options.h"

namespace yiti {

/// Runs on a few threads of its own, handles no signals and prints nothing. Several may live in
/// one process.
class Server {
 public:
  /// Throws kInvalidArgument for options that make no sense.
  explicit Server(ServerOptions options);
  /// Stops.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens, runs ServerOptions::load, and serves until stop(), once. The port, or why it cannot
  /// (kUnavailable: the address is taken or not this machine's; or what `load` threw, and then all
  /// requests get 503 until stop()).
  Result<uint16_t> start();
  /// Takes no more requests, gives those under way the grace time, ends the rest with an error, and
  /// joins all threads. Generations that it cancels may still report to it later, without effect.
  /// Idempotent; from any thread but the server's own (callbacks).
  void stop();
  /// 0 before start().
  uint16_t port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace yiti
