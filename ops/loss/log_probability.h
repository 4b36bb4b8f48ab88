// Log-probabilities of tokens: the functions behind losses and sampling.
#pragma once

#include <cstdint>
#include <span>

namespace yiti {

/// log(sum of e^logit). The same bits on every instruction set, and in the losses. Not empty.
float log_sum_exp(std::span<const float> logits);

/// x = e^x. The same bits on every instruction set.
void exponentiate(std::span<float> x);

/// The natural logarithm of the probability that softmax gives `token`: its logit less
/// log_sum_exp. Throws kOutOfRange for a token that there is not.
float log_probability(std::span<const float> logits, int64_t token);

}  // namespace yiti
