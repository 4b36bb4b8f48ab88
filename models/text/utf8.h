// UTF-8: reading, writing, checking.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace yiti::utf8 {

/// One character at the beginning of a text.
struct Char {
  char32_t code;
  int size;         ///< bytes; 0: no character begins here
  bool incomplete;  ///< with size 0: more bytes could complete it
};

/// Reads the character that begins at `at` (< text.size()). Overlong forms, surrogates and codes
/// beyond U+10FFFF are no characters.
Char read(std::string_view text, size_t at);

void append(std::string* out, char32_t code);

/// The length of the longest beginning of `text` that is valid UTF-8.
size_t valid_prefix(std::string_view text);

/// The text with each byte that belongs to no character replaced by U+FFFD.
std::string sanitized(std::string_view text);

/// The number of characters; bytes that belong to none count one each.
int64_t length(std::string_view text);

}  // namespace yiti::utf8
