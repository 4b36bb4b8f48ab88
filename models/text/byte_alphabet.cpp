#include "models/text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "models/text/utf8.h"

namespace yiti {
namespace {

// Printable Latin-1 bytes stand for themselves; the other 68 are numbered from U+0100 on.
constexpr bool is_printable(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr char32_t kFirstShifted = 0x100;
constexpr int kShifted = 68;

struct Alphabet {
  std::array<char32_t, 256> code{};
  std::array<int, kShifted> shifted{};
};

constexpr Alphabet make_alphabet() {
  Alphabet a;
  int count = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const auto at = static_cast<size_t>(byte);
    if (is_printable(byte)) {
      a.code[at] = static_cast<char32_t>(byte);
    } else {
      a.code[at] = kFirstShifted + static_cast<char32_t>(count);
      a.shifted[static_cast<size_t>(count++)] = byte;
    }
  }
  return a;
}

constexpr Alphabet kAlphabet = make_alphabet();

// -1: not in the alphabet.
int byte_of(char32_t code) {
  if (code < 256) return is_printable(static_cast<int>(code)) ? static_cast<int>(code) : -1;
  return code < kFirstShifted + kShifted ? kAlphabet.shifted[code - kFirstShifted] : -1;
}

}  // namespace

std::string bytes_from_alphabet(std::string_view spelling) {
  std::string out;
  for (size_t at = 0; at < spelling.size();) {
    if (spelling[at] >= 0x21 && spelling[at] <= 0x7E) {  // nearly all: itself in UTF-8, too
      out.push_back(spelling[at++]);
      continue;
    }
    const utf8::Char c = utf8::read(spelling, at);
    const int byte = c.size > 0 ? byte_of(c.code) : -1;
    if (byte < 0) return std::string(spelling);
    out.push_back(static_cast<char>(byte));
    at += static_cast<size_t>(c.size);
  }
  return out;
}

std::string alphabet_from_bytes(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) utf8::append(&out, kAlphabet.code[static_cast<uint8_t>(c)]);
  return out;
}

}  // namespace yiti
