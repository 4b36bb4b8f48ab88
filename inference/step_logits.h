// What tokens are chosen by.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace yiti {

struct TokenLogit {
  float logit;
  int32_t token;
};

/// Whether `a` comes before `b`: the larger first, and of equal ones the lower token.
inline bool better(const TokenLogit& a, const TokenLogit& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

/// Logits of rows of a step: of all tokens, or only of the best ones of each row.
struct StepLogits {
  std::span<const float> all;        ///< [rows, width], or empty
  std::span<const TokenLogit> best;  ///< [rows, width] where `all` is empty: the largest first, and
                                     ///< of equal ones the lowest token
  size_t width = 0;

  /// `count` rows from row `begin` on.
  StepLogits rows(size_t begin, size_t count) const {
    if (all.empty()) return {{}, best.subspan(begin * width, count * width), width};
    return {all.subspan(begin * width, count * width), {}, width};
  }
  /// The first token of a row.
  TokenLogit most_likely() const {
    if (all.empty()) return best.front();
    const auto found = std::max_element(all.begin(), all.end());
    return {*found, static_cast<int32_t>(found - all.begin())};
  }
};

}  // namespace yiti
