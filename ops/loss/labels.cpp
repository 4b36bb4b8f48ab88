#include "ops/loss/labels.h"

#include "core/error.h"
#include "ops/loss/cross_entropy.h"

namespace yiti {

std::vector<int64_t> checked_labels(const Tensor& labels, int64_t classes, std::string_view op) {
  std::vector<int64_t> out;
  if (labels.dtype() == DType::kI32) {
    const std::vector<int32_t> narrow = labels.to_vector<int32_t>();
    out.assign(narrow.begin(), narrow.end());
  } else {
    out = labels.to_vector<int64_t>();
  }
  for (size_t t = 0; t < out.size(); ++t) {
    const bool fits = out[t] == kIgnoredLabel || (out[t] >= 0 && out[t] < classes);
    check(fits, op, "label {} of row {}; wants {} (ignored) or a class of [0, {})", out[t], t,
          kIgnoredLabel, classes);
  }
  return out;
}

}  // namespace yiti
