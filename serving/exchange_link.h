// The way from other threads to an exchange that may end before they do.
#pragma once

#include <functional>
#include <mutex>
#include <utility>

#include "serving/http.h"

namespace yiti::serving {

/// Shared by the exchange's strand, on which it is cut before the exchange ends, and the threads
/// that answer. Thread-safe.
class ExchangeLink {
 public:
  explicit ExchangeLink(Exchange& exchange) : exchange_(&exchange) {}

  /// Runs `work` on the strand. False where the link is cut.
  bool post(std::function<void()> work) const {
    const std::lock_guard lock(mutex_);  // the exchange cannot end meanwhile
    if (exchange_ == nullptr) return false;
    exchange_->post(std::move(work));
    return true;
  }
  /// Cuts the link. The exchange, for the caller to answer; null where it was cut already.
  Exchange* take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(exchange_, nullptr);
  }
  /// The exchange, to be used on the strand only; null: the link is cut.
  Exchange* get() const {
    const std::lock_guard lock(mutex_);
    return exchange_;
  }

 private:
  mutable std::mutex mutex_;
  Exchange* exchange_;  // with mutex_
};

}  // namespace yiti::serving
