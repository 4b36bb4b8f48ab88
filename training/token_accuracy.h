// How often a model's most likely next token is the one of the data.
#pragma once

#include <cstdint>
#include <optional>

#include "models/context.h"
#include "models/layers.h"

namespace yiti {

struct TokenAccuracy {
  int64_t right = 0, total = 0;
  /// Unset where nothing was counted.
  std::optional<double> mean() const;

  /// Counts the rows of x [T, D] that have a label, by the logits that `head` gives. They are
  /// computed again, some rows at a time and unrecorded. A head with an adapter of its own is not
  /// counted.
  void count(const Tensor& x, const Linear& head, const Tensor& labels, Context& ctx);
};

}  // namespace yiti
