#include "models/text/chat_template/text_tools.h"

#include <algorithm>

#include "models/text/utf8.h"

namespace yiti::jinja {
namespace {

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool in(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }

char32_t upper_of(char32_t c) {
  if (in(c, 'a', 'z') || (in(c, 0xE0, 0xFE) && c != 0xF7)) return c - 32;
  if (in(c, 0x3B1, 0x3C9) && c != 0x3C2) return c - 32;
  if (in(c, 0x430, 0x44F)) return c - 32;
  return in(c, 0x450, 0x45F) ? c - 80 : c;
}

char32_t lower_of(char32_t c) {
  if (in(c, 'A', 'Z') || (in(c, 0xC0, 0xDE) && c != 0xD7)) return c + 32;
  if (in(c, 0x391, 0x3A9) && c != 0x3A2) return c + 32;
  if (in(c, 0x410, 0x42F)) return c + 32;
  return in(c, 0x400, 0x40F) ? c + 80 : c;
}

template <class F>
std::string mapped(std::string_view text, F&& f) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const utf8::Char c = utf8::read(text, at);
    if (c.size == 0) {
      out.push_back(text[at++]);
      continue;
    }
    utf8::append(&out, f(c.code));
    at += static_cast<size_t>(c.size);
  }
  return out;
}

// The beginning of the character that ends the text (not empty).
size_t last_start(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && text.size() - at < 4 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  return at + static_cast<size_t>(utf8::read(text, at).size) == text.size() ? at : text.size() - 1;
}

template <class F>
std::string_view stripped_if(std::string_view text, Side side, F&& goes) {
  while (side != Side::kRight && !text.empty()) {
    const auto size = static_cast<size_t>(std::max(1, utf8::read(text, 0).size));
    if (!goes(text.substr(0, size))) break;
    text.remove_prefix(size);
  }
  while (side != Side::kLeft && !text.empty()) {
    const size_t start = last_start(text);
    if (!goes(text.substr(start))) break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

}  // namespace

size_t space_at(std::string_view text, size_t at) {
  const utf8::Char c = utf8::read(text, at);
  return c.size > 0 && is_space(c.code) ? static_cast<size_t>(c.size) : 0;
}

std::string_view stripped(std::string_view text, Side side) {
  return stripped_if(text, side, [](std::string_view c) { return space_at(c, 0) > 0; });
}

std::string_view stripped_of(std::string_view text, std::string_view chars, Side side) {
  return stripped_if(
      text, side, [chars](std::string_view c) { return chars.find(c) != std::string_view::npos; });
}

std::string upper(std::string_view text) {
  return replaced(mapped(text, upper_of), "ß", "SS", -1);  // the one letter that becomes two
}
std::string lower(std::string_view text) { return mapped(text, lower_of); }

std::string capitalized(std::string_view text) {
  bool first = true;
  return mapped(text, [&first](char32_t c) {
    const char32_t out = first ? upper_of(c) : lower_of(c);
    first = false;
    return out;
  });
}

std::vector<std::string> split_space(std::string_view text, int64_t limit) {
  std::vector<std::string> out;
  for (text = stripped(text, Side::kLeft); !text.empty();) {
    if (limit >= 0 && static_cast<int64_t>(out.size()) == limit) {
      out.emplace_back(stripped(text, Side::kRight));
      break;
    }
    size_t end = 0;
    while (end < text.size() && space_at(text, end) == 0) ++end;
    out.emplace_back(text.substr(0, end));
    text = stripped(text.substr(end), Side::kLeft);
  }
  return out;
}

std::vector<std::string> split_at(std::string_view text, std::string_view separator, int64_t limit,
                                  bool from_right) {
  std::vector<std::string> out;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t at = from_right ? text.rfind(separator) : text.find(separator);
    if (at == std::string_view::npos) break;
    const std::string_view left = text.substr(0, at), right = text.substr(at + separator.size());
    out.emplace_back(from_right ? right : left);
    text = from_right ? left : right;
  }
  out.emplace_back(text);
  if (from_right) std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t end = text.find_first_of("\n\r\v\f\x1c\x1d\x1e");
    out.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  return out;
}

std::string replaced(std::string_view text, std::string_view old, std::string_view fresh,
                     int64_t limit) {
  std::string out;
  size_t at = 0;
  // An empty `old` stands before each character and at the end.
  while (limit != 0) {
    const size_t found = old.empty() ? at : text.find(old, at);
    if (found == std::string_view::npos) break;
    out.append(text.substr(at, found - at)).append(fresh);
    if (limit > 0) --limit;
    at = found + old.size();
    if (!old.empty()) continue;
    if (at >= text.size()) return out;
    const auto size = static_cast<size_t>(std::max(1, utf8::read(text, at).size));
    out.append(text.substr(at, size));
    at += size;
  }
  return out.append(text.substr(std::min(at, text.size())));
}

int64_t count_of(std::string_view text, std::string_view what) {
  if (what.empty()) return utf8::length(text) + 1;
  int64_t count = 0;
  for (size_t at = text.find(what); at != std::string_view::npos;
       at = text.find(what, at + what.size())) {
    ++count;
  }
  return count;
}

std::vector<size_t> character_starts(std::string_view text) {
  std::vector<size_t> out;
  for (size_t at = 0; at < text.size();) {
    out.push_back(at);
    at += static_cast<size_t>(std::max(1, utf8::read(text, at).size));
  }
  out.push_back(text.size());
  return out;
}

}  // namespace yiti::jinja
