// The sampler draws from the distribution that its parameters describe.
#include "inference/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace yiti {
namespace {

// 64 logits without ties, in no order.
std::vector<float> some_logits(int salt) {
  std::vector<float> logits;
  for (int i = 0; i < 64; ++i) {
    logits.push_back(static_cast<float>((i * 37 + salt * 11) % 64) * 0.11f - 3);
  }
  return logits;
}

std::vector<int32_t> draw(const Sampling& sampling, int count) {
  Sampler sampler(sampling, 64, {});
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(sampler.next(some_logits(i)));
  return tokens;
}

// How often each token is drawn from the same logits.
std::vector<double> frequencies(const Sampling& sampling, const std::vector<float>& logits) {
  constexpr int kDraws = 20000;
  Sampler sampler(sampling, static_cast<int64_t>(logits.size()), {});
  std::vector<double> share(logits.size());
  for (int i = 0; i < kDraws; ++i) {
    share[static_cast<size_t>(sampler.next(logits))] += 1.0 / kDraws;
  }
  return share;
}

std::vector<double> softmax(const std::vector<float>& logits, double temperature) {
  std::vector<double> p;
  for (float logit : logits) p.push_back(std::exp(static_cast<double>(logit) / temperature));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= total;
  return p;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& wanted) {
  // Four standard deviations of a share of 20000 draws are at most 0.0142.
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 0.0142) << i;
}

const std::vector<float> kLogits = {0.5f, 2.0f, -1.0f, 1.5f, 0.0f};

TEST(Sampler, OneCandidateIsTheGreedyOne) {
  const std::vector<int32_t> greedy = draw({}, 50);
  EXPECT_EQ(draw({.temperature = 1.3, .top_k = 1, .seed = 5}, 50), greedy);
  EXPECT_EQ(draw({.temperature = 1.3, .top_p = 1e-6, .seed = 5}, 50), greedy);
  EXPECT_EQ(draw({.temperature = 1.3, .min_p = 1, .seed = 5}, 50), greedy);
}

TEST(Sampler, TheSeedDecidesTheDraws) {
  const Sampling sampling{.temperature = 1, .seed = 3};
  EXPECT_EQ(draw(sampling, 50), draw(sampling, 50));
  EXPECT_NE(draw(sampling, 50), draw({.temperature = 1, .seed = 4}, 50));
}

TEST(Sampler, TemperatureShapesTheDistribution) {
  for (const double temperature : {0.5, 1.0, 2.0}) {
    expect_near(frequencies({.temperature = temperature, .seed = 9}, kLogits),
                softmax(kLogits, temperature));
  }
}

TEST(Sampler, TopKKeepsTheBest) {
  const std::vector<double> share = frequencies({.temperature = 1, .top_k = 2, .seed = 1}, kLogits);
  const double first = 1 / (1 + std::exp(-0.5));
  expect_near(share, {0, first, 0, 1 - first, 0});
  EXPECT_EQ(share[0] + share[2] + share[4], 0);
}

// The probabilities are 0.50, 0.30, 0.11, 0.07, 0.02.
TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  const std::vector<double> share =
      frequencies({.temperature = 1, .top_p = 0.7, .seed = 1}, kLogits);
  const double first = 1 / (1 + std::exp(-0.5));
  expect_near(share, {0, first, 0, 1 - first, 0});
  EXPECT_EQ(share[0] + share[2] + share[4], 0);
}

TEST(Sampler, MinPKeepsWhatIsLikelyEnoughBesideTheBest) {
  // exp(-0.5) = 0.61, exp(-1.5) = 0.22, exp(-2) = 0.14, exp(-3) = 0.05
  const std::vector<double> share =
      frequencies({.temperature = 1, .min_p = 0.2, .seed = 1}, kLogits);
  EXPECT_GT(share[0], 0);
  EXPECT_EQ(share[2] + share[4], 0);
}

// What a sort of all tokens keeps: the tokens with their probabilities, best first.
std::vector<std::pair<int32_t, double>> kept_of_all(const std::vector<float>& logits,
                                                    const Sampling& sampling) {
  const std::vector<double> p = softmax(logits, sampling.temperature);
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](int32_t t) { return logits[static_cast<size_t>(t)]; });
  if (sampling.top_k > 0) order.resize(static_cast<size_t>(sampling.top_k));
  std::erase_if(order, [&](int32_t t) {
    return p[static_cast<size_t>(t)] < sampling.min_p * p[static_cast<size_t>(order[0])];
  });
  double total = 0, mass = 0, kept_mass = 0;
  for (int32_t t : order) total += p[static_cast<size_t>(t)];
  std::vector<std::pair<int32_t, double>> kept;
  for (int32_t t : order) {
    if (mass >= sampling.top_p * total) break;
    kept.emplace_back(t, p[static_cast<size_t>(t)]);
    mass += p[static_cast<size_t>(t)];
  }
  for (const auto& [token, probability] : kept) kept_mass += probability;
  for (auto& [token, probability] : kept) probability /= kept_mass;
  return kept;
}

TEST(Sampler, KeepsOfManyTokensWhatASortWouldKeep) {
  constexpr int32_t kVocab = 5000;
  std::vector<float> logits(kVocab);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(normal({.seed = 8}, i)) * 3;
  }
  logits[4] = -INFINITY;
  for (const Sampling& sampling :
       {Sampling{.temperature = 1}, Sampling{.temperature = 1, .top_p = 0.9},
        Sampling{.temperature = 0.6, .top_p = 0.99, .min_p = 0.001},
        Sampling{.temperature = 1.4, .min_p = 0.02}, Sampling{.temperature = 1, .top_k = 300},
        Sampling{.temperature = 2, .top_k = 300, .top_p = 0.7, .min_p = 0.01}}) {
    auto wanted = kept_of_all(logits, sampling);
    std::erase_if(wanted, [](const auto& one) { return one.second == 0; });
    Sampler sampler(sampling, kVocab, {});
    const int32_t token = sampler.next(logits);
    std::vector<TokenLogprob> kept;
    const float own = sampler.sampled_log_probabilities(token, kVocab, kept);
    ASSERT_EQ(kept.size(), wanted.size());
    EXPECT_EQ(std::ranges::find(kept, token, &TokenLogprob::token)->logprob, own);
    // Not in their order: float32 has ties where the sort has none.
    std::map<int32_t, double> found;
    for (const TokenLogprob& one : kept) found[one.token] = static_cast<double>(one.logprob);
    for (const auto& [id, probability] : wanted) {
      ASSERT_TRUE(found.contains(id)) << id;
      ASSERT_NEAR(found[id], std::log(probability), 2e-5) << id;
    }
  }
}

// No logit is a number, as where weights are broken: some token, and no crash.
TEST(Sampler, DrawsSomeTokenWhereLogitsAreNotNumbers) {
  const std::vector<float> logits(64, NAN);
  for (const Sampling& sampling :
       {Sampling{}, Sampling{.temperature = 1}, Sampling{.temperature = 1, .top_p = 0.5},
        Sampling{.temperature = 1, .top_k = 5}, Sampling{.temperature = 1, .min_p = 0.1}}) {
    const int32_t token = Sampler(sampling, 64, {}).next(logits);
    EXPECT_TRUE(token >= 0 && token < 64) << token;
  }
}

// The `count` best of some logits as a device finds them.
std::vector<TokenLogit> best_of(const std::vector<float>& logits, int64_t count) {
  std::vector<TokenLogit> all;
  for (const float logit : logits) all.push_back({logit, static_cast<int32_t>(all.size())});
  std::ranges::stable_sort(all, std::greater<>(), &TokenLogit::logit);
  all.resize(static_cast<size_t>(count));
  return all;
}

TEST(Sampler, ChoosesFromTheBestTokensAsFromAll) {
  for (const Sampling& sampling : {Sampling{}, Sampling{.temperature = 0.8, .top_k = 1},
                                   Sampling{.temperature = 1, .top_k = 7},
                                   Sampling{.temperature = 1.5, .top_k = 9, .top_p = 0.6},
                                   Sampling{.temperature = 0.7, .top_k = 9, .min_p = 0.3}}) {
    Sampler whole(sampling, 64, {}), few(sampling, 64, {});
    for (int i = 0; i < 200; ++i) {
      std::vector<float> logits = some_logits(i);
      for (float& logit : logits) logit = std::round(4 * logit) / 4;  // with ties
      if (i % 3 == 0) logits[static_cast<size_t>(i % 64)] = -INFINITY;
      // Other requests of a step may ask for more.
      const std::vector<TokenLogit> best = best_of(logits, few.wanted_best() + i % 4);
      const int32_t token = whole.next(logits);
      ASSERT_EQ(few.next({{}, best, best.size()}), token) << i;
      std::vector<TokenLogprob> top, few_top;
      EXPECT_EQ(few.sampled_log_probabilities(token, 5, few_top),
                whole.sampled_log_probabilities(token, 5, top));
      EXPECT_EQ(few_top.size(), top.size());
    }
  }
  const std::vector<TokenLogit> banned = {{-INFINITY, 3}};
  EXPECT_THROW(Sampler({}, 64, {}).next({{}, banned, 1}), Error);
}

TEST(Sampler, LooksAtAllLogitsWhereOthersThanTheBestMayCome) {
  EXPECT_EQ(Sampler({}, 64, {}).wanted_best(), 1);
  EXPECT_EQ(Sampler({.temperature = 1, .top_k = 40}, 64, {}).wanted_best(), 40);
  EXPECT_EQ(Sampler({.temperature = 1}, 64, {}).wanted_best(), 0);
  EXPECT_EQ(Sampler({.presence_penalty = 1}, 64, {}).wanted_best(), 0);
  EXPECT_EQ(Sampler({.logit_bias = {{4, 3}}}, 64, {}).wanted_best(), 0);
}

TEST(Sampler, PenaltiesCountWhatWasSeen) {
  Sampler repetition({.repetition_penalty = 2}, 5, std::vector<int32_t>{1});
  EXPECT_EQ(repetition.next(kLogits), 3);  // 2.0 / 2 < 1.5
  EXPECT_EQ(repetition.next(kLogits), 1);  // 1.0 > 1.5 / 2
  Sampler presence({.presence_penalty = 1}, 5, std::vector<int32_t>{1});
  EXPECT_EQ(presence.next(kLogits), 1);  // the prompt does not count
  EXPECT_EQ(presence.next(kLogits), 3);
  EXPECT_EQ(presence.next(kLogits), 1);
}

TEST(Sampler, BiasesMoveTokensAndBanThem) {
  EXPECT_EQ(Sampler({.logit_bias = {{4, 3}}}, 5, {}).next(kLogits), 4);
  EXPECT_EQ(Sampler({.logit_bias = {{1, -INFINITY}}}, 5, {}).next(kLogits), 3);
  const std::vector<double> share = frequencies(
      {.temperature = 1, .seed = 4, .logit_bias = {{1, -INFINITY}, {3, -INFINITY}, {2, 1}}},
      kLogits);
  const std::vector<double> left = softmax({0.5f, 0, 0}, 1);
  expect_near(share, {left[0], 0, left[1], 0, left[2]});
  EXPECT_EQ(share[1] + share[3], 0);
}

TEST(Sampler, TellsWhenEveryTokenIsBanned) {
  for (const double temperature : {0.0, 1.0}) {
    Sampling sampling{.temperature = temperature};
    for (int32_t token = 0; token < 5; ++token) sampling.logit_bias.push_back({token, -INFINITY});
    EXPECT_THROW(Sampler(sampling, 5, {}).next(kLogits), Error);
  }
}

// Allows the tokens of a list, one after the other.
class Dictation final : public TokenMatcher {
 public:
  explicit Dictation(std::vector<int32_t> tokens) : tokens_(std::move(tokens)) {}
  void mask(std::span<float> logits) override {
    for (size_t i = 0; i < logits.size(); ++i) {
      if (static_cast<int32_t>(i) != tokens_[at_]) logits[i] = -INFINITY;
    }
  }
  void accept(int32_t) override { ++at_; }
  bool complete() const override { return at_ == tokens_.size(); }

 private:
  std::vector<int32_t> tokens_;
  size_t at_ = 0;
};

TEST(Sampler, ChoosesWhatItsMatcherLeaves) {
  for (const double temperature : {0.0, 1.0}) {
    Sampler sampler({.temperature = temperature, .top_k = 1}, 5, {},
                    std::make_unique<Dictation>(std::vector<int32_t>{2, 4}));
    EXPECT_EQ(sampler.next(kLogits), 2);
    EXPECT_FALSE(sampler.complete());
    EXPECT_EQ(sampler.next(kLogits), 4);
    EXPECT_TRUE(sampler.complete());
  }
}

TEST(Sampler, RefusesParametersOutOfRangeByName) {
  const auto refused = [](const Sampling& sampling) {
    try {
      check_sampling(sampling, 5);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refused({.temperature = -1}).find("temperature"), std::string::npos);
  EXPECT_NE(refused({.top_p = 0}).find("top_p"), std::string::npos);
  EXPECT_NE(refused({.min_p = std::nan("")}).find("min_p"), std::string::npos);
  EXPECT_NE(refused({.repetition_penalty = 0}).find("repetition_penalty"), std::string::npos);
  EXPECT_NE(refused({.logit_bias = {{5, 1}}}).find("token 5"), std::string::npos);
  EXPECT_NE(refused({.logit_bias = {{0, INFINITY}}}).find("logit_bias"), std::string::npos);
}

TEST(Sampler, TellsTheProbabilitiesThatItDrewBy) {
  const Sampling sampling{.temperature = 0.5, .top_k = 3, .seed = 2};
  Sampler sampler(sampling, 5, {});
  const int32_t token = sampler.next(kLogits);
  std::vector<TokenLogprob> top;
  const float drawn = sampler.sampled_log_probabilities(token, 10, top);
  const std::vector<double> wanted = softmax({0.5F, 2.0F, 1.5F}, 0.5);
  ASSERT_EQ(top.size(), 3U) << "the others could not come";
  EXPECT_EQ(top[0].token, 1);
  EXPECT_EQ(top[1].token, 3);
  EXPECT_EQ(top[2].token, 0);
  EXPECT_NEAR(std::exp(static_cast<double>(top[0].logprob)), wanted[1], 1e-6);
  EXPECT_NEAR(std::exp(static_cast<double>(top[2].logprob)), wanted[0], 1e-6);
  for (const TokenLogprob& one : top) {
    if (one.token == token) {
      EXPECT_EQ(one.logprob, drawn);
    }
  }
  sampler.sampled_log_probabilities(token, 1, top);
  EXPECT_EQ(top.size(), 1U);
}

TEST(Sampler, AGreedyChoiceIsCertain) {
  Sampler sampler({}, 5, {});
  std::vector<TokenLogprob> top;
  EXPECT_EQ(sampler.sampled_log_probabilities(sampler.next(kLogits), 4, top), 0);
  ASSERT_EQ(top.size(), 1U);
  EXPECT_EQ(top[0].token, 1);
}

TEST(Sampler, LogProbabilitiesAreThoseOfSoftmax) {
  std::vector<TokenLogprob> top;
  const float chosen = log_probabilities(kLogits, 0, 2, top);
  const std::vector<double> p = softmax(kLogits, 1);
  EXPECT_NEAR(static_cast<double>(chosen), std::log(p[0]), 1e-6);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].token, 1);
  EXPECT_EQ(top[1].token, 3);
  EXPECT_NEAR(static_cast<double>(top[1].logprob), std::log(p[3]), 1e-6);
}

}  // namespace
}  // namespace yiti
