// What a fine-tuning run will need, before it starts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "training/language_trainer.h"

namespace yiti {

struct MemoryItem {
  std::string what;
  int64_t bytes;
};

struct MemoryPlanReport {
  std::vector<MemoryItem> items;
  int64_t total_bytes = 0;
  int64_t available_bytes = 0;  ///< of the machine now; 0: not known
  bool fits = true;
  /// A table and a verdict with what to do where it does not fit.
  std::string text;
};

/// The estimate for a trainer with batches of `batch_tokens` tokens: weights, the copy that is
/// trained, gradients, optimiser state, activations of one micro-batch, the loss's chunk.
MemoryPlanReport plan_training_memory(const LanguageTrainer& trainer, int64_t batch_tokens);

}  // namespace yiti
