// What a server is told when it is made.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/adapter_host.h"
#include "serving/file_store.h"
#include "serving/job_runner.h"
#include "serving/model_registry.h"

namespace yiti {

/// A model that is loaded when a request first wants it. That request and those behind it wait.
struct ModelOnDemand {
  ServedModel promise;  ///< told in /v1/models until it is there; wants no generator and no text
  /// Called by a thread of the server's; again after it threw, when the next request comes.
  std::function<ServedModel()> load;
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::vector<std::string> more_hosts = {};  ///< to listen on as well, on the same port
  uint16_t port = 0;                         ///< 0: any free one
  std::vector<ServedModel> models = {};
  /// More models, which may come and go while the server runs; it adds `models`. Null: none.
  std::shared_ptr<ModelRegistry> registry = nullptr;
  // Null: their routes answer 404. They must outlive the server.
  JobRunner* jobs = nullptr;
  FileStore* files = nullptr;
  AdapterHost* adapters = nullptr;
  /// Called by Server::start() once it listens; requests get 503 until it returns. It may set
  /// `jobs`, `files` and `adapters` of what it is given, and add models to `registry`. Null:
  /// nothing to wait for.
  std::function<void(ServerOptions&)> load = nullptr;
  std::optional<ModelOnDemand> on_demand = std::nullopt;
  std::string tls_certificate = {};            ///< a PEM file with its chain; empty: no TLS
  std::string tls_key = {};                    ///< a PEM file
  std::vector<std::string> api_keys = {};      ///< any of them will do; empty: none is asked for
  std::vector<std::string> cors_origins = {};  ///< of pages that may ask; "*": any; empty: none
  /// Nobody profits from, and can tell, what others have asked: caches are apart by key, or by
  /// address where there are no keys.
  bool isolate_clients = false;
  /// Requests for a model that there is not go to the first one, as with llama.cpp.
  bool any_model_name = false;
  int64_t max_tokens = 0;  ///< of an answer; 0: what the context holds
  /// Of an answer where a request says nothing (/v1/completions: always 16, as with OpenAI); 0: as
  /// many as it may have.
  int64_t default_max_tokens = 0;
  /// GET and POST /cors-proxy: whoever may ask here may ask, through this machine, what it reaches.
  bool cors_proxy = false;
  bool serve_slots = true;           ///< GET /slots
  bool verbose_replies = false;      ///< all as if they asked for `verbose`
  Pooling pooling = Pooling::kMean;  ///< of embeddings, where a request names none

  int io_threads = 2;
  int64_t max_header_bytes = 16 << 10;
  int64_t max_body_bytes = 8 << 20;
  /// More wait in the system's backlog; each further address may take one above it.
  int64_t max_connections = 1024;
  /// Generations running or queued at once, over all requests; beyond it requests get 429.
  int64_t max_generations = 256;
  /// Bytes or tokens that a connection's client may be behind before its generation is cancelled.
  int64_t max_buffered_bytes = 1 << 20;
  int64_t max_buffered_tokens = 8192;

  std::chrono::milliseconds idle_timeout{75'000};   ///< between requests of a connection
  std::chrono::milliseconds read_timeout{30'000};   ///< from a request's first byte to its last
  std::chrono::milliseconds write_timeout{30'000};  ///< without the client taking a byte
  std::chrono::milliseconds proxy_timeout{30'000};  ///< for an answer to /cors-proxy
  std::chrono::milliseconds grace{10'000};          ///< for requests under way when stopping
  std::chrono::milliseconds stall{60'000};          ///< a longer step makes /health fail

  /// One line for each request and for what goes wrong; called from several threads.
  std::function<void(std::string_view line)> log;
};

}  // namespace yiti
