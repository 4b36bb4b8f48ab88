#include "ops/attention/attention_reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "ops/attention/attention.h"
#include "ops/attention/key_block.h"
#include "ops/attention/kv_types.h"
#include "ops/host_values.h"
#include "ops/same_dtype.h"

namespace yiti {

double attend_row(const AttentionRow& row, std::span<double> out) {
  std::vector<double> scores;
  double top = -std::numeric_limits<double>::infinity();
  for (const double* key : row.keys) {
    double score = 0;
    for (size_t d = 0; d < row.q.size(); ++d) score += row.q[d] * row.scale * key[d];
    scores.push_back(score);
    top = std::max(top, score);
  }
  double total = 0;
  for (double& score : scores) total += score = std::exp(score - top);
  std::fill(out.begin(), out.end(), 0.0);
  for (size_t i = 0; i < scores.size(); ++i) {
    for (size_t d = 0; d < out.size(); ++d) out[d] += scores[i] / total * row.values[i][d];
  }
  return top + std::log(total);
}

KeyCodes key_codes(std::span<const double> head) {
  float top = 0;
  for (const double x : head) {
    if (!std::isfinite(x)) {
      return {std::numeric_limits<float>::quiet_NaN(), std::vector<int8_t>(head.size())};
    }
    top = std::max(top, std::fabs(static_cast<float>(x)));
  }
  constexpr float kSmallest = 1e-35F;
  if (top <= kSmallest) return {0, std::vector<int8_t>(head.size())};
  KeyCodes out{top / 127.0F, {}};
  for (const double x : head) {
    out.codes.push_back(
        static_cast<int8_t>(std::nearbyint(static_cast<float>(x) * (127.0F / top))));
  }
  return out;
}

std::vector<double> rounded_doubles(const Tensor& heads, DType kept) {
  std::vector<double> values = to_doubles(heads);
  if (kept == DType::kI8) {
    const auto width = static_cast<size_t>(heads.dim(-1));
    for (size_t at = 0; width > 0 && at < values.size(); at += width) {
      const std::span<double> head = std::span(values).subspan(at, width);
      const KeyCodes kept_as = key_codes(head);
      for (size_t i = 0; i < width; ++i) {
        head[i] = static_cast<double>(kept_as.codes[i]) * static_cast<double>(kept_as.scale);
      }
    }
  } else if (kept != DType::kF32) {
    values = to_doubles(of_doubles(values, heads.shape(), kept, heads.device()));
  }
  return values;
}

namespace {

// `at` gives the place of key i's element d in a block.
template <class At>
std::vector<double> pool_rows(const Tensor& pool, int64_t head_dim, At at) {
  const bool codes = pool.dtype() == DType::kI8;
  const int64_t blocks = pool.dim(0) * pool.dim(1), size = pool.dim(2) * pool.dim(3);
  const std::vector<double> all = to_doubles(pool);
  std::vector<std::byte> bytes(pool.bytes());
  pool.copy_to_host(bytes);
  std::vector<double> rows;
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t i = 0; i < kKeyBlock; ++i) {
      float scale = 1;
      const auto behind = static_cast<size_t>(block * size + head_dim * kKeyBlock) +
                          static_cast<size_t>(i) * sizeof(float);
      if (codes) std::memcpy(&scale, bytes.data() + behind, sizeof(float));
      for (int64_t d = 0; d < head_dim; ++d) {
        rows.push_back(all[static_cast<size_t>(block * size + at(i, d))] *
                       static_cast<double>(scale));
      }
    }
  }
  return rows;
}

}  // namespace

std::vector<double> pool_keys(const Tensor& k_pool, int64_t head_dim) {
  return pool_rows(k_pool, head_dim, [](int64_t i, int64_t d) { return d * kKeyBlock + i; });
}

std::vector<double> pool_values(const Tensor& v_pool, int64_t head_dim) {
  return pool_rows(v_pool, head_dim, [=](int64_t i, int64_t d) { return i * head_dim + d; });
}

namespace {

void check_position(int64_t position, int64_t before, int64_t token) {
  check(position == 0 || position == before + 1, "attention",
        "position {} of token {} follows {}; wants 0 where a document starts, else one more",
        position, token, before);
}

}  // namespace

void check_positions(const int32_t* positions, int64_t tokens) {
  for (int64_t t = 0; t < tokens; ++t) {
    check_position(positions[t], t == 0 ? -1 : positions[t - 1], t);
  }
}

std::vector<int64_t> document_positions(const Tensor& positions) {
  std::vector<int64_t> out;
  for (double given : to_doubles(positions)) {
    const auto position = static_cast<int64_t>(given);
    check_position(position, out.empty() ? -1 : out.back(), static_cast<int64_t>(out.size()));
    out.push_back(position);
  }
  return out;
}

void check_attention(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  const auto& a = attrs.as<AttentionAttrs>();
  check_same_dtype(in, op);
  const int64_t heads = in[0].dim(1), kv_heads = in[1].dim(1);
  check(kv_heads > 0 ? heads % kv_heads == 0 : heads == 0, op.name,
        "q has {} heads; wants a multiple of the {} of k", heads, kv_heads);
  check(a.window >= 0, op.name, "window is negative");
  kv_type(a.kv_dtype, op.name);
}

}  // namespace yiti
