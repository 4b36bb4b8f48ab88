#include "serving/mailbox.h"

#include <utility>

namespace yiti::serving {

bool Mailbox::push(GenerationEvent event) {
  const std::lock_guard lock(mutex_);
  if (exchange_ == nullptr) return false;
  const bool is_end = std::holds_alternative<Result<Generation>>(event.what);
  if (!is_end && events_.size() >= max_events_) return false;
  events_.push_back(std::move(event));
  // Under the lock, since the exchange lives only until detach() returns.
  if (!std::exchange(drain_posted_, true)) exchange_->post(drain_);
  return true;
}

std::vector<GenerationEvent> Mailbox::take() {
  const std::lock_guard lock(mutex_);
  drain_posted_ = false;
  return std::exchange(events_, {});
}

void Mailbox::detach() {
  const std::lock_guard lock(mutex_);
  exchange_ = nullptr;
  events_.clear();
}

}  // namespace yiti::serving
