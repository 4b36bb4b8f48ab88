// Shapes in messages: they become text only where a check fails.
#pragma once

#include <fmt/format.h>

#include "core/shape.h"

/// "[2, 3, 64]"
template <>
struct fmt::formatter<yiti::Shape> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const yiti::Shape& shape, Context& context) const {
    return fmt::formatter<std::string_view>::format(shape.str(), context);
  }
};
