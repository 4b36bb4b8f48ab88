// Drafting by looking up what followed the same tokens earlier in the same text.
#pragma once

#include "inference/drafter.h"

namespace yiti {

/// Finds the last tokens earlier in the text, as many of them as possible, the latest place where
/// there are several, and guesses that what followed there follows again. Saxena 2023, "Prompt
/// lookup decoding".
class PromptLookup final : public Drafter {
 public:
  void draft(std::span<DraftRequest> requests) override;
};

}  // namespace yiti
