// Names from hostile files, as messages may show them.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace yiti {

/// Quoted; bytes other than printable ASCII as \xNN; cut after `max_bytes`.
inline std::string printable(std::string_view text, size_t max_bytes = 100) {
  std::string result = "\"";
  for (const char c : text.substr(0, max_bytes)) {
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
      result += c;
    } else {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return result + (text.size() > max_bytes ? "…\"" : "\"");
}

}  // namespace yiti
