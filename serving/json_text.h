// JSON values as the text of an answer.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace yiti::serving {

/// Bytes that are no character become U+FFFD: pieces of tokens may be parts of one.
inline std::string json_text(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

/// The bytes as numbers.
inline nlohmann::ordered_json bytes_json(std::string_view bytes) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const char c : bytes) list.push_back(static_cast<unsigned char>(c));
  return list;
}

/// JSON has no infinities; OpenAI uses -9999 for a token that cannot be.
inline double finite_logprob(double logprob) { return std::isfinite(logprob) ? logprob : -9999.0; }

/// Null where the text is empty.
inline nlohmann::ordered_json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
}

}  // namespace yiti::serving
