#include "ops/loss/row_loss.h"

#include <algorithm>
#include <cmath>

#include "ops/host_values.h"
#include "ops/loss/cross_entropy.h"

namespace yiti {

double log_sum_exp_of(std::span<const double> row) {
  const double top = *std::max_element(row.begin(), row.end());
  double total = 0;
  for (double logit : row) total += std::exp(logit - top);
  return top + std::log(total);
}

void logits_gradient(std::span<double> row, int64_t label, double lse, double dloss) {
  for (double& logit : row) logit = label == kIgnoredLabel ? 0 : dloss * std::exp(logit - lse);
  if (label != kIgnoredLabel) row[static_cast<size_t>(label)] -= dloss;
}

Sample ignoring_sample(bool backward) {
  return {.shapes = {}, .attrs = {}, .make = [backward](DType floats, const DevicePtr& device) {
            std::vector<double> logits(21);
            for (size_t i = 0; i < logits.size(); ++i) {
              logits[i] = 2 * std::sin(1.7 * static_cast<double>(i));
            }
            std::vector<Tensor> in = {of_doubles(logits, {3, 7}, floats, device),
                                      Tensor::from(std::vector<int32_t>{6, -100, 0}, {3}, device)};
            if (backward) {
              in.push_back(of_doubles(std::vector<double>{2.6, 0, 2.7}, {3}, floats, device));
              in.push_back(of_doubles(std::vector<double>{0.5, -1, 2}, {3}, floats, device));
            }
            return in;
          }};
}

}  // namespace yiti
