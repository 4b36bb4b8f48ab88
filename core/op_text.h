// An op's declaration in words, for messages and documentation.
#pragma once

#include <string_view>

#include "core/op.h"

namespace yiti {

/// "f32 or f64", "any type", …
std::string_view describe(Kind kind);

}  // namespace yiti
