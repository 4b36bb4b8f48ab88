// What Python's str methods do to text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace yiti::jinja {

enum class Side { kLeft, kRight, kBoth };

/// The bytes of the white space character (as Python has it) that begins at `at`; 0: none.
size_t space_at(std::string_view text, size_t at);

/// Without white space, or without the characters of `chars`, at the sides.
std::string_view stripped(std::string_view text, Side side);
std::string_view stripped_of(std::string_view text, std::string_view chars, Side side);

/// Case of ASCII, Latin-1, Greek and Cyrillic letters; others stay.
std::string upper(std::string_view text);
std::string lower(std::string_view text);
/// The first character upper, the others lower.
std::string capitalized(std::string_view text);

/// At runs of white space; empty pieces are left out. `limit` < 0: no limit to the splits.
std::vector<std::string> split_space(std::string_view text, int64_t limit);
/// At each `separator` (not empty), from the left or the right.
std::vector<std::string> split_at(std::string_view text, std::string_view separator, int64_t limit,
                                  bool from_right = false);
std::vector<std::string> split_lines(std::string_view text);

/// `limit` < 0: all. Its result has at most text.size() + the count times the growth.
std::string replaced(std::string_view text, std::string_view old, std::string_view fresh,
                     int64_t limit);
int64_t count_of(std::string_view text, std::string_view what);

/// Byte places of characters: [0, …, size]; bytes that are no characters count one each.
std::vector<size_t> character_starts(std::string_view text);

}  // namespace yiti::jinja
