// JSON from strangers.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "core/error.h"

namespace yiti::serving {

struct JsonLimits {
  int64_t depth = 64;
  int64_t values = 1 << 19;  ///< all values together
  int64_t members = 256;     ///< of one object; insertion order is kept by linear search
};

/// Checks the limits before anything is built. Throws kInvalidArgument with the position for bad
/// JSON, and for JSON beyond a limit.
nlohmann::ordered_json parse_request_json(std::string_view text, JsonLimits limits = {});

}  // namespace yiti::serving
