#include "serving/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <condition_variable>
#include <future>
#include <list>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "serving/connection.h"
#include "serving/router.h"

namespace yiti {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using serving::Connection;

constexpr std::chrono::milliseconds kRetryAccept{50};
constexpr std::chrono::milliseconds kLastWords{1'500};

void check_options(const ServerOptions& options) {
  constexpr const char* kWhere = "server";
  check(options.io_threads >= 1 && options.io_threads <= 256, kWhere,
        "io_threads is {}; wants 1 to 256", options.io_threads);
  for (const int64_t limit :
       {options.max_header_bytes, options.max_body_bytes, options.max_connections,
        options.max_generations, options.max_buffered_bytes, options.max_buffered_tokens}) {
    check(limit >= 1 && limit <= INT32_MAX, kWhere, "a limit is {}; wants 1 to {}", limit,
          INT32_MAX);
  }
}

}  // namespace

struct Server::Impl {
  /// An address to listen on.
  struct Listener {
    explicit Listener(const asio::strand<asio::io_context::executor_type>& strand)
        : acceptor(strand), retry(strand) {}
    tcp::acceptor acceptor;
    asio::steady_timer retry;
    bool paused = false;  // with `mutex`
  };

  explicit Impl(ServerOptions given) : options(std::move(given)), router(options) {
    context.closed = [this](const std::shared_ptr<Connection>& one) { forget(one); };
  }

  void listen();
  void listen(const std::string& host);
  void run();
  void accept(Listener& listener);
  void on_accept(Listener& listener, error_code error, tcp::socket socket);
  void forget(const std::shared_ptr<Connection>& connection);
  template <class F>
  void for_each_connection(F f);
  /// Whether no connection is left after at most `time`.
  bool wait_for_end(std::chrono::milliseconds time);
  void stop();

  ServerOptions options;
  serving::Router router;
  const serving::TransportMaker transports{options.tls_certificate, options.tls_key};
  serving::ConnectionContext context{options, router};
  asio::io_context io;
  // Without it the threads would leave when all connections wait for generators only.
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  asio::strand<asio::io_context::executor_type> accept_strand{io.get_executor()};
  std::list<Listener> listeners;
  std::atomic<uint16_t> port = 0;

  std::mutex mutex;  // guards what follows
  std::condition_variable ended;
  std::set<std::shared_ptr<Connection>> connections;

  std::mutex lifecycle;  // start and stop exclude each other
  bool started = false;
  std::vector<std::thread> threads;
};

// The first address may choose the port; the others take the same one.
void Server::Impl::listen() {
  port = options.port;
  listen(options.host);
  for (const std::string& host : options.more_hosts) listen(host);
  for (Listener& listener : listeners) accept(listener);
}

void Server::Impl::listen(const std::string& host) {
  try {
    tcp::resolver resolver(io);
    const auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    tcp::acceptor& acceptor = listeners.emplace_back(accept_strand).acceptor;
    acceptor.open(endpoint.protocol());
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    // Else :: would take what another address wants of IPv4.
    if (endpoint.address().is_v6() && !options.more_hosts.empty()) {
      acceptor.set_option(asio::ip::v6_only(true));
    }
    acceptor.bind(endpoint);
    acceptor.listen();
    port = acceptor.local_endpoint().port();
  } catch (const boost::system::system_error& error) {
    fail(Code::kUnavailable, "server", "cannot listen on {} port {}: {}", host, port.load(),
         error.code().message());
  }
}

// A connection keeps its own errors to itself; what is left is lack of memory while accepting.
void Server::Impl::run() {
  while (!io.stopped()) {
    try {
      io.run();
    } catch (const std::exception& error) {
      if (options.log) options.log(error.what());
    }
  }
}

void Server::Impl::accept(Listener& listener) {
  listener.acceptor.async_accept(asio::make_strand(io),
                                 [this, &listener](error_code error, tcp::socket socket) {
                                   on_accept(listener, error, std::move(socket));
                                 });
}

void Server::Impl::on_accept(Listener& listener, error_code error, tcp::socket socket) {
  if (context.stopping) return;
  if (error) {
    // Such as too many open files: the connection waits in the backlog meanwhile.
    if (options.log) options.log(fmt::format("cannot accept: {}", error.message()));
    listener.retry.expires_after(kRetryAccept);
    listener.retry.async_wait([this, &listener](error_code cancelled) {
      if (!cancelled && !context.stopping) accept(listener);
    });
    return;
  }
  const auto connection = std::make_shared<Connection>(transports.make(std::move(socket)), context);
  {
    const std::lock_guard lock(mutex);
    connections.insert(connection);
    listener.paused = static_cast<int64_t>(connections.size()) >= options.max_connections;
    if (listener.paused) {
      connection->start();
      return;
    }
  }
  connection->start();
  accept(listener);
}

void Server::Impl::forget(const std::shared_ptr<Connection>& connection) {
  const std::lock_guard lock(mutex);
  connections.erase(connection);
  ended.notify_all();
  for (Listener& listener : listeners) {
    if (context.stopping || !std::exchange(listener.paused, false)) continue;
    asio::post(accept_strand, [this, &listener] { accept(listener); });
  }
}

template <class F>
void Server::Impl::for_each_connection(F f) {
  const std::lock_guard lock(mutex);
  for (const auto& connection : connections) f(*connection);
}

bool Server::Impl::wait_for_end(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex);
  return ended.wait_for(lock, time, [this] { return connections.empty(); });
}

void Server::Impl::stop() {
  const std::lock_guard lock(lifecycle);
  if (threads.empty()) return;
  context.stopping = true;
  std::promise<void> closed;
  asio::post(accept_strand, [this, &closed] {
    for (Listener& listener : listeners) {
      error_code ignored;
      listener.acceptor.close(ignored);
      listener.retry.cancel();
    }
    closed.set_value();
  });
  closed.get_future().wait();
  for_each_connection([](Connection& connection) { connection.drain(); });
  if (!wait_for_end(options.grace)) {
    for_each_connection([](Connection& connection) { connection.shut_down(); });
    wait_for_end(kLastWords);
  }
  io.stop();
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  for_each_connection([](Connection& connection) { connection.abandon(); });
  const std::lock_guard connections_lock(mutex);
  connections.clear();
}

Server::Server(ServerOptions options) {
  check_options(options);
  impl_ = std::make_unique<Impl>(std::move(options));
}

Server::~Server() { stop(); }

Result<uint16_t> Server::start() {
  return capture_errors("server", [this] {
    Impl& impl = *impl_;
    const std::lock_guard lock(impl.lifecycle);
    if (std::exchange(impl.started, true)) {
      fail(Code::kFailedPrecondition, "server", "it was started before");
    }
    impl.listen();
    for (int i = 0; i < impl.options.io_threads; ++i) {
      impl.threads.emplace_back([&impl] { impl.run(); });
    }
    if (impl.options.load) impl.options.load(impl.options);
    impl.router.open();
    return impl.port.load();
  });
}

void Server::stop() { impl_->stop(); }

uint16_t Server::port() const { return impl_->port; }

}  // namespace yiti
