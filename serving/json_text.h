// JSON values as the text of an answer.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace yiti::serving {

/// Bytes that are no character become U+FFFD: pieces of tokens may be parts of one.
inline std::string json_text(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

/// Null where the text is empty.
inline nlohmann::ordered_json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
}

}  // namespace yiti::serving
