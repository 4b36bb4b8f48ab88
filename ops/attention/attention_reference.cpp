#include "ops/attention/attention_reference.h"

#include <cmath>
#include <limits>

#include "core/error.h"
#include "ops/host_values.h"

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

std::vector<double> rounded_doubles(const Tensor& tensor, DType kept) {
  std::vector<double> values = to_doubles(tensor);
  if (kept == DType::kF16) {
    for (double& x : values) x = static_cast<double>(to_float(to_half(static_cast<float>(x))));
  }
  return values;
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

}  // namespace yiti
