// Sets of characters as sequences of byte ranges in UTF-8.
#pragma once

#include <cstdint>
#include <vector>

namespace yiti {

/// Characters first to last.
struct CodeRange {
  char32_t first = 0;
  char32_t last = 0;
};

struct ByteRange {
  uint8_t first = 0;
  uint8_t last = 0;
};

/// The UTF-8 forms of the range's characters: each sequence stands for all combinations of its
/// byte ranges, and no two sequences share a form. Surrogates are left out, as they have none.
std::vector<std::vector<ByteRange>> utf8_sequences(CodeRange range);

/// All characters that are in none of the ranges.
std::vector<CodeRange> complement(std::vector<CodeRange> ranges);

}  // namespace yiti
