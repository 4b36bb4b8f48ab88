// Index tensors as checked i64 values.
#pragma once

#include <string_view>

#include "core/tensor.h"

namespace yiti {

/// A contiguous i64 tensor of the values of an i32 or i64 one, each in [0, limit). kOutOfRange
/// names `where` and the first value that is not.
Tensor checked_indices(const Tensor& index, int64_t limit, std::string_view where);

}  // namespace yiti
