// Sizes from files, checked before anything is computed from them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/shape.h"

namespace yiti {

/// The shape with these sizes, outermost first. Throws kDataLoss, naming file and tensor, for more
/// than Shape::kMaxRank sizes or where their product, zeros left out, does not leave room for
/// 64-bit byte counts.
Shape checked_shape(std::span<const uint64_t> dims, std::string_view file, std::string_view tensor);

}  // namespace yiti
