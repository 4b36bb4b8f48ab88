// Answers that take long, made apart from the threads that serve connections.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "serving/http.h"

namespace yiti::serving {

/// One thread that does one piece of work after the other. Thread-safe.
class Worker {
 public:
  Worker();
  /// Waits for the piece under way; those that wait are dropped.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Runs `work`, which must not throw, after what came before.
  void post(std::function<void()> work);
  /// Sends what `make` returns as the exchange's answer, unless the client leaves or the server
  /// stops before. `make` must not throw. Returns what is going to answer.
  std::shared_ptr<Activity> answer(Exchange& exchange, std::function<HttpResponse()> make);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;  // with mutex_
  bool stopping_ = false;                    // with mutex_
  std::thread thread_;
};

}  // namespace yiti::serving
