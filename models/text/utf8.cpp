#include "models/text/utf8.h"

#include <algorithm>

namespace yiti::utf8 {
namespace {

uint8_t byte_at(std::string_view text, size_t at) { return static_cast<uint8_t>(text[at]); }

// The allowed second bytes exclude overlong forms, surrogates and codes that are too large.
bool second_fits(uint8_t lead, uint8_t second) {
  if (lead == 0xE0) return second >= 0xA0 && second <= 0xBF;
  if (lead == 0xED) return second >= 0x80 && second <= 0x9F;
  if (lead == 0xF0) return second >= 0x90 && second <= 0xBF;
  if (lead == 0xF4) return second >= 0x80 && second <= 0x8F;
  return second >= 0x80 && second <= 0xBF;
}

int length_of(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

}  // namespace

Char read(std::string_view text, size_t at) {
  const uint8_t lead = byte_at(text, at);
  const int size = length_of(lead);
  if (size == 0) return {0, 0, false};
  if (size == 1) return {lead, 1, false};
  char32_t code = lead & (0x7Fu >> size);
  for (int i = 1; i < size; ++i) {
    const size_t next = at + static_cast<size_t>(i);
    if (next >= text.size()) return {0, 0, true};
    const uint8_t byte = byte_at(text, next);
    if (i == 1 ? !second_fits(lead, byte) : (byte & 0xC0) != 0x80) return {0, 0, false};
    code = (code << 6) | (byte & 0x3Fu);
  }
  return {code, size, false};
}

void append(std::string* out, char32_t code) {
  const auto put = [out](char32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | (code >> 6));
  } else {
    if (code < 0x10000) {
      put(0xE0 | (code >> 12));
    } else {
      put(0xF0 | (code >> 18));
      put(0x80 | ((code >> 12) & 0x3F));
    }
    put(0x80 | ((code >> 6) & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

size_t valid_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const int size = read(text, at).size;
    if (size == 0) break;
    at += static_cast<size_t>(size);
  }
  return at;
}

std::string sanitized(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t good = valid_prefix(text);
    out.append(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty()) break;
    out.append("\xEF\xBF\xBD");
    text.remove_prefix(1);
  }
  return out;
}

int64_t length(std::string_view text) {
  int64_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) {
    at += static_cast<size_t>(std::max(1, read(text, at).size));
  }
  return count;
}

}  // namespace yiti::utf8
