// What ops ask of inputs that are computed together.
#pragma once

#include <span>

#include "core/op.h"

namespace yiti {

/// Throws kInvalidArgument unless all float inputs that are given have the first input's dtype.
void check_same_dtype(std::span<const Tensor> in, const Op& op);

}  // namespace yiti
