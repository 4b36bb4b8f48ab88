// Waiting for other threads so that Ctrl-C is heard.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace yiti::python {

/// For work that lasts, between its parts: without the GIL. Throws what a signal's handler raised
/// (KeyboardInterrupt).
inline void check_signals() {
  nanobind::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
}

/// What another thread hands to a Python thread. Thread-safe.
template <class T>
class Mailbox {
 public:
  void put(T value) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(value));
    }
    changed_.notify_one();
  }

  /// The next one; releases the GIL. Throws what a signal's handler raised (KeyboardInterrupt),
  /// within a tenth of a second.
  T take() {
    nanobind::gil_scoped_release release;
    while (true) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::milliseconds(50), [&] { return !waiting_.empty(); });
        if (!waiting_.empty()) {
          T value = std::move(waiting_.front());
          waiting_.pop_front();
          return value;
        }
      }
      check_signals();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> waiting_;  // with mutex_
};

}  // namespace yiti::python
