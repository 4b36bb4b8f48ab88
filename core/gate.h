// Where training lets serving go first.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace yiti {

/// Serving opens work and closes it; training waits at its yield points while serving has work.
/// Thread-safe. Neither side holds a lock while it computes.
class Gate {
 public:
  /// Serving has work now. Calls nest.
  void enter();
  void leave();
  /// Training: waits until serving has no work, but no longer than `max_wait_ms`, so that it always
  /// gets on. Costs one relaxed load where nobody serves.
  void yield(int max_wait_ms);

 private:
  std::atomic<int> serving_{0};
  std::mutex mutex_;
  std::condition_variable idle_;
};

}  // namespace yiti
