// Streams of events that outlive their client's connection: the client finds one again by an id.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "serving/http.h"
#include "serving/worker.h"

namespace yiti::serving {

class KeptStream;

/// Keeps the latest bytes of each stream, and those of streams that have ended for ten minutes, but
/// not more than 64 of these. Thread-safe. Keys say whose stream it is as well as which.
class KeptStreams {
 public:
  /// `max_bytes`: of one stream.
  explicit KeptStreams(size_t max_bytes) : max_bytes_(max_bytes) {}
  /// Ends all of them, without a word.
  ~KeptStreams();

  /// Begins a stream, in place of one of that key, which is cancelled, and sends it to `exchange`
  /// as well. `begin`, which must not throw, runs on a thread of its own.
  std::shared_ptr<Activity> start(const std::string& key, BeginActivity begin, Exchange& exchange);
  /// Sends what the stream has said from byte `from` of its body on, and what it will say. Throws
  /// ApiException where there is no such stream (404), or no longer such a byte (400).
  std::shared_ptr<Activity> resume(const std::string& key, uint64_t from, Exchange& exchange);
  bool holds(const std::string& key) const;
  /// Cancels and forgets it, if it is there.
  void stop(const std::string& key);

 private:
  using StreamPtr = std::shared_ptr<KeptStream>;
  void forget_old();

  const size_t max_bytes_;
  mutable std::mutex mutex_;
  std::map<std::string, StreamPtr> streams_;  // with mutex_
  Worker worker_;
};

}  // namespace yiti::serving
