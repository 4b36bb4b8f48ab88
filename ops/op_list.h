// Every op, for the derived tests, programs and bindings.
#pragma once

#include <span>
#include <string_view>

#include "core/op.h"

namespace yiti {

/// All ops, in the order of the list.
std::span<const Op* const> all_ops();

/// The op of this name; null when there is none.
const Op* find_op(std::string_view name);

}  // namespace yiti
