#include "models/config.h"

#include <fmt/ranges.h>

namespace yiti {

std::string ModelConfig::str() const {
  return fmt::format(
      "{} hidden={} layers={} heads={}x{} kv_heads={} eps={} windows={} rope={} x {}", architecture,
      hidden_size, layers, heads, head_dim, kv_heads, norm_eps, fmt::join(windows, ","),
      fmt::join(rope_frequencies(*this), ","), rope_attention_factor(*this));
}

}  // namespace yiti
