// The time of day.
#pragma once

#include <chrono>
#include <cstdint>

namespace yiti {

/// Seconds since 1970, UTC.
inline int64_t now_unix_s() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

}  // namespace yiti
