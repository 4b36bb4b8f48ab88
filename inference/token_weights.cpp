#include "inference/token_weights.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/loss/log_probability.h"

namespace yiti {
namespace {

// In several chains, since one sum would wait for each addition.
double mass_of(std::span<const float> weights) {
  constexpr size_t kChains = 4;
  double sums[kChains] = {};
  size_t i = 0;
  for (; i + kChains <= weights.size(); i += kChains) {
    for (size_t c = 0; c < kChains; ++c) sums[c] += static_cast<double>(weights[i + c]);
  }
  for (; i < weights.size(); ++i) sums[0] += static_cast<double>(weights[i]);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Logits, of which `best` is the largest, become weights.
void weigh(std::vector<float>& logits, float best, double temperature) {
  const auto inverse = static_cast<float>(1 / temperature);
  for (float& logit : logits) logit = (logit - best) * inverse;
  exponentiate(logits);
}

}  // namespace

void TokenWeights::keep(const StepLogits& row, const TokenLogit& best, const Sampling& sampling) {
  candidates_.clear();
  const auto top_k = static_cast<size_t>(sampling.top_k);
  double total;  // of what top_k and min_p keep
  if (top_k > 0 && (row.all.empty() || top_k < row.all.size())) {
    total = keep_best(row, sampling);
  } else if (sampling.top_p < 1 || sampling.min_p > 0) {
    total = keep_likely(row, best, sampling);
  } else {
    return keep_all(row, best, sampling);
  }
  if (sampling.top_p >= 1) return;
  size_t kept = 0;
  double mass = 0;
  do {
    mass += static_cast<double>(weights_[kept++]);
  } while (kept < weights_.size() && mass < sampling.top_p * total);
  candidates_.resize(kept);
  weights_.resize(kept);
}

void TokenWeights::keep_all(const StepLogits& row, const TokenLogit& best,
                            const Sampling& sampling) {
  weights_.assign(row.all.begin(), row.all.end());
  weigh(weights_, best.logit, sampling.temperature);
}

// The top_k best tokens, but for those that min_p leaves out. Returns their mass.
double TokenWeights::keep_best(const StepLogits& row, const Sampling& sampling) {
  if (row.all.empty()) {
    candidates_.assign(row.best.begin(), row.best.begin() + sampling.top_k);
  } else {
    for (const int32_t place : best_places(row.all, sampling.top_k)) {
      candidates_.push_back({row.all[static_cast<size_t>(place)], place});
    }
  }
  weigh_candidates(sampling.temperature);
  const auto min_p = static_cast<float>(sampling.min_p);
  const auto unlikely = std::ranges::find_if(weights_, [=](float w) { return w < min_p; });
  weights_.erase(unlikely, weights_.end());
  candidates_.resize(weights_.size());
  return mass_of(weights_);
}

// What min_p keeps, but for tokens so unlikely that all of them together weigh less than what top_p
// leaves out. Returns the mass of what min_p keeps.
double TokenWeights::keep_likely(const StepLogits& row, const TokenLogit& best,
                                 const Sampling& sampling) {
  keep_all(row, best, sampling);
  const auto min_p = static_cast<float>(sampling.min_p);
  for (float& weight : weights_) weight = weight < min_p ? 0 : weight;
  const double total = mass_of(weights_);
  const double least = (1 - sampling.top_p) * total / static_cast<double>(weights_.size());
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (weights_[i] > 0 && static_cast<double>(weights_[i]) >= least) {
      candidates_.push_back({row.all[i], static_cast<int32_t>(i)});
    }
  }
  if (candidates_.empty()) candidates_.push_back(best);  // logits are not numbers
  std::ranges::sort(candidates_, better);
  weigh_candidates(sampling.temperature);
  return total;
}

void TokenWeights::weigh_candidates(double temperature) {
  weights_.clear();
  for (const TokenLogit& candidate : candidates_) weights_.push_back(candidate.logit);
  weigh(weights_, candidates_.front().logit, temperature);
}

// Finds the block of tokens where their mass exceeds the share, then the token. Where rounding
// leaves a rest behind the end, it is the last one that may be drawn.
int32_t TokenWeights::draw(double u) const {
  constexpr size_t kBlock = 64;
  const std::span<const float> weights = weights_;
  double left = u * mass_of(weights);
  size_t block = 0;
  for (size_t at = 0; at < weights.size(); at += kBlock) {
    const double mass = mass_of(weights.subspan(at, std::min(kBlock, weights.size() - at)));
    if (mass == 0) continue;
    block = at;
    if (left < mass) break;
    left -= mass;
  }
  size_t drawn = block;
  for (size_t i = block; i < std::min(block + kBlock, weights.size()) && left >= 0; ++i) {
    if (weights[i] == 0) continue;
    drawn = i;
    left -= static_cast<double>(weights[i]);
  }
  return token(drawn);
}

float TokenWeights::log_probabilities(int32_t kept, int count,
                                      std::vector<TokenLogprob>& top) const {
  const double total = mass_of(weights_);
  const auto log_probability = [&](size_t i) {
    return static_cast<float>(std::log(static_cast<double>(weights_[i]) / total));
  };
  top.clear();
  for (const int32_t place : best_places(weights_, count)) {
    const auto i = static_cast<size_t>(place);
    if (weights_[i] > 0) top.push_back({token(i), log_probability(i)});
  }
  if (candidates_.empty()) return log_probability(static_cast<size_t>(kept));
  const auto found = std::ranges::find(candidates_, kept, &TokenLogit::token);
  return log_probability(static_cast<size_t>(found - candidates_.begin()));
}

std::vector<int32_t> best_places(std::span<const float> values, int64_t count) {
  if (count < 1) return {};
  std::vector<int32_t> places(values.size());
  std::iota(places.begin(), places.end(), 0);
  const auto end = places.begin() + std::min<std::ptrdiff_t>(count, std::ssize(places));
  std::partial_sort(places.begin(), end, places.end(), [&](int32_t a, int32_t b) {
    return better({values[static_cast<size_t>(a)], a}, {values[static_cast<size_t>(b)], b});
  });
  places.erase(end, places.end());
  return places;
}

}  // namespace yiti
