// JSON from files that nobody vouches for.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace yiti {

/// Parses all of `text`. Throws kInvalidArgument, starting with `where`, for malformed text, a key
/// that an object has twice, and nesting deeper than `max_depth`.
nlohmann::json parse_json(std::string_view text, std::string_view where, size_t max_depth = 64);

}  // namespace yiti
