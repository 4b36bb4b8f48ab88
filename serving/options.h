// What a server is told when it is made.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/generator.h"
#include "models/text/text_model.h"
#include "serving/job_runner.h"

namespace yiti {

/// A model under the name that requests use. What it points to must outlive the server.
struct ServedModel {
  std::string name;
  Generator* generator = nullptr;
  const TextModel* text = nullptr;
  /// What a request leaves out; unset: the text model's. In both, temperature 0 stands for "no
  /// recommendation", and requests without a temperature then get 1, as with OpenAI.
  std::optional<Sampling> sampling = {};
  /// Requests without a seed get `sampling`'s; otherwise one is drawn for each.
  bool fixed_seed = false;
  int64_t created_unix_s = 0;
  std::string owned_by = "yiti";
  std::string path = {};  ///< told in /props
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;  ///< 0: any free one
  std::vector<ServedModel> models = {};
  JobRunner* jobs = nullptr;               ///< null: no fine-tuning routes; must outlive the server
  std::vector<std::string> api_keys = {};  ///< any of them will do; empty: none is asked for
  std::vector<std::string> cors_origins = {};  ///< of pages that may ask; "*": any; empty: none
  /// Requests for a model that there is not go to the first one, as with llama.cpp.
  bool any_model_name = false;
  int64_t max_tokens = 0;            ///< of an answer; 0: what the context holds
  bool serve_slots = true;           ///< GET /slots
  Pooling pooling = Pooling::kMean;  ///< of embeddings, where a request names none

  int io_threads = 2;
  int64_t max_header_bytes = 16 << 10;
  int64_t max_body_bytes = 8 << 20;
  int64_t max_connections = 1024;  ///< more wait in the system's backlog
  /// Generations running or queued at once, over all requests; beyond it requests get 429.
  int64_t max_generations = 256;
  /// Bytes or tokens that a connection's client may be behind before its generation is cancelled.
  int64_t max_buffered_bytes = 1 << 20;
  int64_t max_buffered_tokens = 8192;

  std::chrono::milliseconds idle_timeout{75'000};   ///< between requests of a connection
  std::chrono::milliseconds read_timeout{30'000};   ///< from a request's first byte to its last
  std::chrono::milliseconds write_timeout{30'000};  ///< without the client taking a byte
  std::chrono::milliseconds grace{10'000};          ///< for requests under way when stopping
  std::chrono::milliseconds stall{60'000};          ///< a longer step makes /health fail

  /// One line for each request and for what goes wrong; called from several threads.
  std::function<void(std::string_view line)> log;
};

}  // namespace yiti
