// The next token from logits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "inference/token_weights.h"
#include "models/generator.h"

namespace yiti {

/// Chooses the tokens of one generation. The choice for token i depends on the logits, the tokens
/// so far, the sampling parameters and (seed, i) alone. One thread at a time.
class Sampler {
 public:
  /// Throws kInvalidArgument for parameters out of range.
  Sampler(const Sampling& sampling, int64_t vocab_size, std::span<const int32_t> prompt,
          std::unique_ptr<TokenMatcher> matcher = nullptr);

  /// So many of the best tokens are all that next() looks at; 0: it looks at all logits.
  int64_t wanted_best() const;
  /// The token after those seen so far, which it then counts as seen; `row` has all logits, or
  /// wanted_best() or more. Throws kFailedPrecondition where biases and the matcher leave none.
  int32_t next(const StepLogits& row);
  int32_t next(std::span<const float> logits) { return next({logits, {}, logits.size()}); }
  /// Log-probability by which next() drew its last token, and of the `count` most likely ones that
  /// it might have drawn, best first.
  float sampled_log_probabilities(int32_t token, int count, std::vector<TokenLogprob>& top) const;
  /// Whether the matcher lets nothing follow.
  bool complete() const { return matcher_ != nullptr && matcher_->complete(); }

 private:
  void adjust(std::span<const float> logits);
  void apply_penalties();

  Sampling sampling_;
  std::unique_ptr<TokenMatcher> matcher_;
  bool penalised_;
  bool adjusted_;  // the logits are changed before a token is chosen
  uint64_t index_ = 0;
  std::vector<float> logits_;
  TokenWeights weights_;
  std::vector<int32_t> counts_;  // how often each token was generated
  std::vector<bool> seen_;       // in the prompt or generated
};

/// Throws kInvalidArgument naming the first parameter out of range.
void check_sampling(const Sampling& sampling, int64_t vocab_size);

/// Log-probability of `token`, and of the `count` most likely tokens, best first.
float log_probabilities(std::span<const float> logits, int32_t token, int count,
                        std::vector<TokenLogprob>& top);

}  // namespace yiti
