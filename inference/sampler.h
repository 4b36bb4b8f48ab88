// The next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/generator.h"

namespace yiti {

/// Chooses the tokens of one generation. The choice for token i depends on the logits, the tokens
/// so far, the sampling parameters and (seed, i) alone. One thread at a time.
class Sampler {
 public:
  /// Throws kInvalidArgument for parameters out of range.
  Sampler(const Sampling& sampling, int64_t vocab_size, std::span<const int32_t> prompt);

  /// The token after those seen so far, which it then counts as seen.
  int32_t next(std::span<const float> logits);

 private:
  struct Candidate {
    float logit;
    int32_t token;
  };
  int32_t greedy(std::span<const float> logits) const;
  int32_t sampled(std::span<const float> logits);
  void apply_penalties(std::span<const float> logits);
  void keep_top();

  Sampling sampling_;
  bool penalised_;
  uint64_t index_ = 0;
  std::vector<float> logits_;
  std::vector<Candidate> candidates_;
  std::vector<int32_t> counts_;  // how often each token was generated
  std::vector<bool> seen_;       // in the prompt or generated
};

/// Throws kInvalidArgument naming the first parameter out of range.
void check_sampling(const Sampling& sampling);

/// Log-probability of `token`, and of the `count` most likely tokens, best first.
float log_probabilities(std::span<const float> logits, int32_t token, int count,
                        std::vector<TokenLogprob>& top);

}  // namespace yiti
