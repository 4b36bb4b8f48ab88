// Where training lets serving go first.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "core/share_window.h"

namespace yiti {

struct GateOptions {
  /// Of the cores' time within a second in which requests wait or run, what training may have;
  /// above 0, at most 1. While one waits for its first token, a fifth of that.
  double train_share = 0.25;
  int cores = 1;  ///< that both use: the device's threads
  /// How long serving waits for training that does not ask.
  std::chrono::milliseconds patience{100};
  std::function<int64_t()> now_ns = {};  ///< empty: the steady clock
};

/// Serving and training take turns at the cores. Training computes freely while there are no
/// requests; else only between serving's turns, and no more than its share. It asks often, between
/// slices of its loops, so that a request waits for a slice at most. Neither holds a lock while it
/// computes. Thread-safe.
class Gate {
 public:
  /// Throws kInvalidArgument for a share outside (0, 1].
  explicit Gate(GateOptions options = {});

  /// A request, from its arrival to its end.
  class Request {
   public:
    explicit Request(std::shared_ptr<Gate> gate);
    ~Request();
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    /// It waits for its first token no more.
    void answered();

   private:
    const std::shared_ptr<Gate> gate_;
    bool is_answered_ = false;
  };

  /// Marks what the calling thread does as training, while it lives: its parallel loops run in
  /// slices with a yield before each. Does nothing without a gate.
  class Training {
   public:
    explicit Training(std::shared_ptr<Gate> gate);
    ~Training();
    Training(const Training&) = delete;
    Training& operator=(const Training&) = delete;

    /// The calling thread's; null where it does not train, or is within a slice.
    static Training* of_this_thread();
    /// Between slices: lets serving go first. Counts the processor time of this thread.
    void yield();
    /// A slice of a loop, while it lives: loops in it are not cut again.
    class Slice {
     public:
      explicit Slice(Training& training) : training_(training) { training_.in_slice_ = true; }
      ~Slice() { training_.in_slice_ = false; }
      Slice(const Slice&) = delete;
      Slice& operator=(const Slice&) = delete;

     private:
      Training& training_;
    };
    /// Another thread's part of a slice. Thread-safe.
    void count_helper(int64_t core_ns) { helpers_ns_ += core_ns; }

   private:
    const std::shared_ptr<Gate> gate_;
    Training* const outer_;
    bool in_slice_ = false;
    int64_t counted_ns_;  // up to here, this thread's time is counted
    std::atomic<int64_t> helpers_ns_{0};
  };

  /// Serving: before it computes. Waits until training rests, after having it go on where it has
  /// been waiting for its share.
  void begin_turn();
  void end_turn();
  /// Training: goes on at once, or waits. `core_ns` is what it has used since it last asked.
  void yield(int64_t core_ns);

 private:
  enum class State : uint8_t { kAway, kComputes, kWaits };

  void set_training(State state);
  int64_t left_ns();
  void wait_for_rest(std::unique_lock<std::mutex>& lock);
  void arrive();
  void answer();
  void leave();

  const GateOptions options_;
  std::atomic<int64_t> requests_{0};  // changed with mutex_
  std::mutex mutex_;
  std::condition_variable changed_;
  ShareWindow window_;      // with mutex_, as all below
  int64_t unanswered_ = 0;  // requests without a first token
  int64_t turns_ = 0;       // under way
  int64_t yields_ = 0;      // how often training asked
  State training_ = State::kAway;
  bool granted_ = false;  // training computes its share while requests wait
};

}  // namespace yiti
