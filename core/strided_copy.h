// Elements of a strided tensor, gathered into a row.
#pragma once

#include <cstddef>

#include "core/tensor.h"

namespace yiti {

/// Writes the elements of `source`, which is in the host's memory, to `target` in row-major order.
void copy_strided(std::byte* target, const Tensor& source);

}  // namespace yiti
