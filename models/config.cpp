#include "models/config.h"

#include <fmt/ranges.h>

#include "core/error.h"

namespace yiti {

std::string ModelConfig::str() const {
  return fmt::format(
      "{} hidden={} layers={} heads={}x{} kv_heads={} eps={} windows={} rope={} x {}", architecture,
      hidden_size, layers, heads, head_dim, kv_heads, norm_eps, fmt::join(windows, ","),
      fmt::join(rope_frequencies(*this), ","), rope_attention_factor(*this));
}

ModelConfig with_rope_scaling(ModelConfig config, const std::string& type, double factor) {
  constexpr double kLongest = 1 << 24;
  check(type == "linear" || type == "yarn", "model", "rope scaling \"{}\"; wants linear or yarn",
        type);
  const int64_t original =
      config.rope.original_context > 0 ? config.rope.original_context : config.context_length;
  const double longest = factor * static_cast<double>(original);
  check(factor >= 1 && longest <= kLongest, "model",
        "rope factor is {}; wants 1 to {} for a model trained on {} tokens", factor,
        kLongest / static_cast<double>(original), original);
  config.context_length = static_cast<int64_t>(longest);
  config.rope = {};
  config.rope.type = type;
  config.rope.factor = factor;
  config.rope.original_context = original;
  return config;
}

}  // namespace yiti
