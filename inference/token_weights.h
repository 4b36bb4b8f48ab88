// The tokens that a draw is between.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inference/step_logits.h"
#include "models/generator.h"

namespace yiti {

/// What temperature, top_k, min_p and top_p leave of a row of logits, each token with its
/// unnormalised probability. One thread at a time.
class TokenWeights {
 public:
  /// Takes a row of which `best` is the most likely token, not banned by minus infinity, for a
  /// temperature above 0; all logits, or the top_k best ones or more.
  void keep(const StepLogits& row, const TokenLogit& best, const Sampling& sampling);
  /// The token at the share `u` of the whole, in [0, 1).
  int32_t draw(double u) const;
  /// Log-probability of a kept token, and of the `count` most likely ones, best first.
  float log_probabilities(int32_t kept, int count, std::vector<TokenLogprob>& top) const;

 private:
  void keep_all(const StepLogits& row, const TokenLogit& best, const Sampling& sampling);
  double keep_best(const StepLogits& row, const Sampling& sampling);
  double keep_likely(const StepLogits& row, const TokenLogit& best, const Sampling& sampling);
  void weigh_candidates(double temperature);
  int32_t token(size_t i) const {
    return candidates_.empty() ? static_cast<int32_t>(i) : candidates_[i].token;
  }

  std::vector<TokenLogit> candidates_;  // best first; none where all tokens are kept, in order
  std::vector<float> weights_;          // of each, relative to the best one's
};

/// The places of the `count` largest of `values`, the largest first, and of equal ones the lowest
/// place; all of them where there are no more, none where `count` is below 1.
std::vector<int32_t> best_places(std::span<const float> values, int64_t count);

}  // namespace yiti
