// Labels of rows, checked.
#pragma once

#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace yiti {

/// Labels as written. Throws kInvalidArgument for one that is neither kIgnoredLabel nor in
/// [0, classes).
std::vector<int64_t> checked_labels(const Tensor& labels, int64_t classes, std::string_view op);

}  // namespace yiti
