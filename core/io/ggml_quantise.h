// f32 rows to block-quantised ones, rounding as ggml's reference quantisers do.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace yiti {

/// values.size() / block blocks of q4_0, q4_1 or q8_0, in the order of `values`. Throws
/// kInvalidArgument for another dtype, values that are not whole blocks, not finite, or too large
/// for a block's 16-bit scale.
std::vector<std::byte> quantise_blocks(std::span<const float> values, DType dtype);

/// An f32 matrix whose rows are whole blocks, as a quantised one.
Tensor quantise(const Tensor& x, DType dtype);

}  // namespace yiti
