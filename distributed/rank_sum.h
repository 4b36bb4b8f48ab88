// The sum over ranks, in one fixed order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/dtype.h"

namespace yiti {

/// target[i] = the sum of parts[rank][i] for begin <= i < end, by the tree that Communicator
/// promises: ((p0 + p1) + (p2 + p3)) + …, an odd one out joining at the next level. All pointers
/// are host memory of elements of `dtype`, a number type. f16 and bf16 are summed in f32.
void sum_ranks(DType dtype, std::span<const std::byte* const> parts, int64_t begin, int64_t end,
               std::byte* target);

}  // namespace yiti
