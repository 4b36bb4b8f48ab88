// Guesses of how texts go on, which a step of the model then checks all at once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace yiti {

/// A text that wants a guess.
struct DraftRequest {
  uint64_t text = 0;                     ///< its number, the same until it ends
  std::span<const int32_t> tokens = {};  ///< all so far, at least one
  int64_t wanted = 0;                    ///< tokens to guess, at most
  std::vector<int32_t> draft = {};       ///< the guess; empty: none
};

/// Guesses the next tokens of texts. A wrong guess costs time and never changes a result. One
/// thread at a time.
class Drafter {
 public:
  virtual ~Drafter() = default;
  /// Fills in the drafts. Throws nothing: without a guess a draft is empty.
  virtual void draft(std::span<DraftRequest> requests) = 0;
  /// Forgets a text, if it was ever seen.
  virtual void end(uint64_t /*text*/) {}
};

}  // namespace yiti
