#include "inference/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/random.h"
#include "ops/loss/log_probability.h"

namespace yiti {
namespace {

constexpr float kMaxBias = 10'000;
constexpr float kBanned = -std::numeric_limits<float>::infinity();

}  // namespace

void check_sampling(const Sampling& s, int64_t vocab_size) {
  const auto require = [](bool ok, std::string_view name, double got, std::string_view wanted) {
    check(ok, "sampling", "{} is {}; wants {}", name, got, wanted);
  };
  require(s.temperature >= 0 && s.temperature <= 100, "temperature", s.temperature, "0 to 100");
  require(s.top_k >= 0, "top_k", static_cast<double>(s.top_k), "0 (all) or more");
  require(s.top_p > 0 && s.top_p <= 1, "top_p", s.top_p, "more than 0, at most 1");
  require(s.min_p >= 0 && s.min_p <= 1, "min_p", s.min_p, "0 to 1");
  require(s.repetition_penalty > 0 && s.repetition_penalty <= 100, "repetition_penalty",
          s.repetition_penalty, "more than 0, at most 100");
  require(std::abs(s.frequency_penalty) <= 100, "frequency_penalty", s.frequency_penalty,
          "-100 to 100");
  require(std::abs(s.presence_penalty) <= 100, "presence_penalty", s.presence_penalty,
          "-100 to 100");
  for (const TokenBias& bias : s.logit_bias) {
    check(bias.token >= 0 && bias.token < vocab_size, "sampling",
          "logit_bias names token {}; wants 0 to {}", bias.token, vocab_size - 1);
    // NaN and +infinity leave no order among the tokens.
    require(bias.bias <= kMaxBias, "logit_bias", static_cast<double>(bias.bias), "at most 10000");
  }
}

Sampler::Sampler(const Sampling& sampling, int64_t vocab_size, std::span<const int32_t> prompt,
                 std::unique_ptr<TokenMatcher> matcher)
    : sampling_(sampling),
      matcher_(std::move(matcher)),
      penalised_(sampling.repetition_penalty != 1 || sampling.frequency_penalty != 0 ||
                 sampling.presence_penalty != 0),
      adjusted_(penalised_ || !sampling.logit_bias.empty() || matcher_ != nullptr) {
  check_sampling(sampling, vocab_size);
  if (adjusted_) logits_.resize(static_cast<size_t>(vocab_size));
  if (!penalised_) return;
  counts_.assign(static_cast<size_t>(vocab_size), 0);
  seen_.assign(static_cast<size_t>(vocab_size), false);
  for (int32_t token : prompt) seen_[static_cast<size_t>(token)] = true;
}

int64_t Sampler::wanted_best() const {
  if (adjusted_) return 0;
  return sampling_.temperature > 0 ? sampling_.top_k : 1;
}

int32_t Sampler::next(const StepLogits& given) {
  StepLogits row = given;
  if (adjusted_) {
    adjust(row.all);
    row.all = logits_;
  }
  const TokenLogit best = row.most_likely();
  if (best.logit == kBanned) {
    fail(Code::kFailedPrecondition, "sampling", "all tokens are banned");
  }
  int32_t token = best.token;
  if (sampling_.temperature > 0) {
    weights_.keep(row, best, sampling_);
    token = weights_.draw(uniform({.seed = sampling_.seed}, index_));
  }
  if (penalised_) {
    ++counts_[static_cast<size_t>(token)];
    seen_[static_cast<size_t>(token)] = true;
  }
  if (matcher_ != nullptr) matcher_->accept(token);
  ++index_;
  return token;
}

void Sampler::adjust(std::span<const float> logits) {
  std::copy(logits.begin(), logits.end(), logits_.begin());
  if (penalised_) apply_penalties();
  for (const TokenBias& bias : sampling_.logit_bias) {
    logits_[static_cast<size_t>(bias.token)] += bias.bias;
  }
  if (matcher_ != nullptr) matcher_->mask(logits_);
}

// Repetition: Keskar et al. 2019. Frequency and presence: as OpenAI's API documents them.
void Sampler::apply_penalties() {
  const auto repetition = static_cast<float>(sampling_.repetition_penalty);
  for (size_t token = 0; token < logits_.size(); ++token) {
    float& logit = logits_[token];
    if (seen_[token]) logit = logit > 0 ? logit / repetition : logit * repetition;
    if (counts_[token] > 0) {
      logit -=
          static_cast<float>(sampling_.frequency_penalty) * static_cast<float>(counts_[token]) +
          static_cast<float>(sampling_.presence_penalty);
    }
  }
}

float Sampler::sampled_log_probabilities(int32_t token, int count,
                                         std::vector<TokenLogprob>& top) const {
  if (sampling_.temperature > 0) return weights_.log_probabilities(token, count, top);
  top.clear();
  if (count > 0) top.push_back({token, 0});
  return 0;
}

float log_probabilities(std::span<const float> logits, int32_t token, int count,
                        std::vector<TokenLogprob>& top) {
  const float normaliser = log_sum_exp(logits);
  top.clear();
  for (const int32_t best : best_places(logits, count)) {
    top.push_back({best, logits[static_cast<size_t>(best)] - normaliser});
  }
  return logits[static_cast<size_t>(token)] - normaliser;
}

}  // namespace yiti
