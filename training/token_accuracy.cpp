#include "training/token_accuracy.h"

#include <algorithm>

#include "ops/linear/linear.h"
#include "ops/loss/cross_entropy.h"
#include "ops/shape/index_select.h"

namespace yiti {
namespace {

constexpr size_t kRows = 32;

}  // namespace

std::optional<double> TokenAccuracy::mean() const {
  if (total == 0) return std::nullopt;
  return static_cast<double>(right) / static_cast<double>(total);
}

void TokenAccuracy::count(const Tensor& x, const Linear& head, const Tensor& labels, Context& ctx) {
  if (head.lora_a.defined()) return;
  const std::vector<int32_t> wanted = labels.to_vector<int32_t>();
  std::vector<int64_t> rows;
  for (size_t t = 0; t < wanted.size(); ++t) {
    if (wanted[t] != kIgnoredLabel) rows.push_back(static_cast<int64_t>(t));
  }
  const Tensor states = x.detached(), weight = ctx.parameter(head.weight).detached();
  const Tensor bias = head.bias.defined() ? ctx.parameter(head.bias).detached() : Tensor();
  const auto width = static_cast<std::ptrdiff_t>(weight.dim(0));
  for (size_t first = 0; first < rows.size(); first += kRows) {
    const auto part = std::span(rows).subspan(first, std::min(kRows, rows.size() - first));
    const Tensor chosen = Tensor::from(std::vector<int64_t>(part.begin(), part.end()),
                                       {static_cast<int64_t>(part.size())}, x.device());
    const std::vector<float> logits = ops::linear(ops::index_select(states, chosen), weight, bias,
                                                  head.leaf_unit, head.exact_activations)
                                          .to_vector<float>();
    auto row = logits.begin();
    for (const int64_t t : part) {
      const auto best = std::max_element(row, row + width) - row;
      right += std::cmp_equal(best, wanted[static_cast<size_t>(t)]) ? 1 : 0;
      row += width;
    }
    total += static_cast<int64_t>(part.size());
  }
}

}  // namespace yiti
