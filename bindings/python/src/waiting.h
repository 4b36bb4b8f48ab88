// Waiting for other threads so that Ctrl-C is heard.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "core/error.h"

namespace yiti::python {

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
      nanobind::gil_scoped_acquire acquire;
      if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> waiting_;  // with mutex_
};

/// Lets left threads end before the interpreter does.
void add_waiting();

/// Asks a thread to stop and lets it run on; it is joined before the interpreter ends.
void leave(std::jthread thread);

/// f(std::stop_token) in a thread of its own, without the GIL. Gives and throws what `f` does, or
/// throws what a signal's handler raised as Mailbox::take does; `f` is asked to stop then and not
/// waited for, so it must own what it uses.
template <class F>
auto interruptible(F f) {
  const auto box = std::make_shared<Mailbox<Result<std::invoke_result_t<F&, std::stop_token>>>>();
  std::jthread thread([box, f = std::move(f)](std::stop_token stop) mutable {
    box->put(capture_errors("python", [&] { return f(stop); }));
  });
  try {
    return box->take().value();
  } catch (const nanobind::python_error&) {
    leave(std::move(thread));
    throw;
  }
}

}  // namespace yiti::python
