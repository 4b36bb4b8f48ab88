// Rotary frequencies: Su et al. 2021; linear: Chen et al. 2023; llama3: Meta's Llama 3.1 reference;
// yarn: Peng et al. 2023.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "models/config.h"

namespace yiti {
namespace {

double llama3(double frequency, const RopeScaling& rope) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  const double original = static_cast<double>(rope.original_context);
  if (wavelength < original / rope.high_freq_factor) return frequency;
  if (wavelength > original / rope.low_freq_factor) return frequency / rope.factor;
  const double smooth = (original / wavelength - rope.low_freq_factor) /
                        (rope.high_freq_factor - rope.low_freq_factor);
  return (1 - smooth) * frequency / rope.factor + smooth * frequency;
}

// The pair that turns `rotations` times within the original context.
double yarn_pair(double rotations, const ModelConfig& config) {
  const double original = static_cast<double>(config.rope.original_context);
  return static_cast<double>(config.head_dim) *
         std::log(original / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(config.rope_theta));
}

double yarn(double frequency, int64_t pair, const ModelConfig& config) {
  const double last = static_cast<double>(config.head_dim - 1);
  const double low = std::max(std::floor(yarn_pair(config.rope.beta_fast, config)), 0.0);
  double high = std::min(std::ceil(yarn_pair(config.rope.beta_slow, config)), last);
  if (high == low) high += 0.001;
  const double ramp = std::clamp((static_cast<double>(pair) - low) / (high - low), 0.0, 1.0);
  return frequency / config.rope.factor * ramp + frequency * (1 - ramp);
}

double yarn_mscale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

}  // namespace

std::vector<float> rope_frequencies(const ModelConfig& config) {
  std::vector<float> frequencies;
  for (int64_t pair = 0; pair < config.head_dim / 2; ++pair) {
    const double exponent = static_cast<double>(2 * pair) / static_cast<double>(config.head_dim);
    double frequency = std::pow(config.rope_theta, -exponent);
    if (config.rope.type == "linear") {
      frequency /= config.rope.factor;
    } else if (config.rope.type == "llama3") {
      frequency = llama3(frequency, config.rope);
    } else if (config.rope.type == "yarn") {
      frequency = yarn(frequency, pair, config);
    }
    if (!config.rope.divisors.empty()) {
      frequency /= static_cast<double>(config.rope.divisors[static_cast<size_t>(pair)]);
    }
    frequencies.push_back(static_cast<float>(frequency));
  }
  return frequencies;
}

double rope_attention_factor(const ModelConfig& config) {
  const RopeScaling& rope = config.rope;
  if (rope.type != "yarn") return 1;
  if (rope.attention_factor != 0) return rope.attention_factor;
  if (rope.mscale != 0 && rope.mscale_all_dim != 0) {
    return yarn_mscale(rope.factor, rope.mscale) / yarn_mscale(rope.factor, rope.mscale_all_dim);
  }
  return yarn_mscale(rope.factor, 1);
}

}  // namespace yiti
