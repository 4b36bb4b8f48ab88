// Carries what a generator says from its thread to the strand of the exchange it answers.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <variant>
#include <vector>

#include "models/generator.h"
#include "serving/http.h"

namespace yiti::serving {

struct GenerationEvent {
  size_t choice = 0;
  std::variant<PromptProgress, GeneratedToken, Result<Generation>> what;
};

/// Outlives the exchange: what arrives after detach() is dropped.
class Mailbox {
 public:
  /// `drain` runs on the strand when events wait.
  Mailbox(Exchange& exchange, std::function<void()> drain, size_t max_events)
      : exchange_(&exchange), drain_(std::move(drain)), max_events_(max_events) {}

  /// From any thread, never blocking for long. False when nobody listens any more or the listener
  /// is too far behind; the ends of generations are always taken.
  bool push(GenerationEvent event);
  /// All events since the last call, in order.
  std::vector<GenerationEvent> take();
  /// Forgets the exchange.
  void detach();

 private:
  std::mutex mutex_;
  Exchange* exchange_;  // null: detached
  std::function<void()> drain_;
  const size_t max_events_;
  std::vector<GenerationEvent> events_;
  bool drain_posted_ = false;
};

}  // namespace yiti::serving
