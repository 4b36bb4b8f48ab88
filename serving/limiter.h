// How many generations may be under way at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace yiti::serving {

/// Thread-safe.
class Limiter {
 public:
  explicit Limiter(int64_t most) : most_(most) {}

  bool acquire(int64_t count) {
    int64_t used = used_.load();
    do {
      if (used + count > most_) return false;
    } while (!used_.compare_exchange_weak(used, used + count));
    return true;
  }
  void release(int64_t count) { used_ -= count; }
  int64_t used() const { return used_; }
  int64_t most() const { return most_; }

 private:
  const int64_t most_;
  std::atomic<int64_t> used_ = 0;
};

/// One generation's place. Given back by release() or, if nobody called it, when the last owner
/// lets go. Thread-safe.
class Place {
 public:
  explicit Place(std::shared_ptr<Limiter> limiter) : limiter_(std::move(limiter)) {}
  ~Place() { release(); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  void release() {
    if (!released_.exchange(true)) limiter_->release(1);
  }

 private:
  std::shared_ptr<Limiter> limiter_;
  std::atomic<bool> released_ = false;
};

}  // namespace yiti::serving
