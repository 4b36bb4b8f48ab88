#include "core/gate.h"

#include <chrono>

namespace yiti {

void Gate::enter() { serving_.fetch_add(1); }

void Gate::leave() {
  if (serving_.fetch_sub(1) != 1) return;
  const std::lock_guard lock(mutex_);
  idle_.notify_all();
}

void Gate::yield(int max_wait_ms) {
  if (serving_.load(std::memory_order_relaxed) == 0) return;
  std::unique_lock lock(mutex_);
  idle_.wait_for(lock, std::chrono::milliseconds(max_wait_ms),
                 [&] { return serving_.load() == 0; });
}

}  // namespace yiti
