#include "inference/grammar/utf8_ranges.h"

#include <algorithm>
#include <array>
#include <string>

#include "models/text/utf8.h"

namespace yiti {
namespace {

constexpr char32_t kLastCode = 0x10FFFF;
constexpr char32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

std::vector<ByteRange> byte_ranges(CodeRange range) {
  std::string first, last;
  utf8::append(&first, range.first);
  utf8::append(&last, range.last);
  std::vector<ByteRange> bytes;
  for (size_t i = 0; i < first.size(); ++i) {
    bytes.push_back({static_cast<uint8_t>(first[i]), static_cast<uint8_t>(last[i])});
  }
  return bytes;
}

// The first place behind which the range must be cut, or its end: forms on both sides differ in
// their number of bytes, or vary in a byte before one that does not take all its values.
char32_t cut_behind(CodeRange range) {
  for (const char32_t last : {char32_t{0x7F}, char32_t{0x7FF}, char32_t{0xFFFF}}) {
    if (range.first <= last && last < range.last) return last;
  }
  if (range.last <= 0x7F) return range.last;
  for (const char32_t low : {char32_t{0x3F}, char32_t{0xFFF}, char32_t{0x3FFFF}}) {
    if ((range.first | low) == (range.last | low)) break;
    if ((range.first & low) != 0) return range.first | low;
    if ((range.last & low) != low) return (range.last & ~low) - 1;
  }
  return range.last;
}

}  // namespace

std::vector<std::vector<ByteRange>> utf8_sequences(CodeRange range) {
  range.last = std::min(range.last, kLastCode);
  std::vector<std::vector<ByteRange>> sequences;
  std::vector<CodeRange> open = {range};
  while (!open.empty()) {
    const CodeRange part = open.back();
    open.pop_back();
    if (part.first > part.last) continue;
    if (part.first <= kLastSurrogate && part.last >= kFirstSurrogate) {
      open.push_back({kLastSurrogate + 1, part.last});
      if (part.first < kFirstSurrogate) open.push_back({part.first, kFirstSurrogate - 1});
      continue;
    }
    const char32_t last = cut_behind(part);
    if (last < part.last) {
      open.push_back({last + 1, part.last});
      open.push_back({part.first, last});
    } else {
      sequences.push_back(byte_ranges(part));
    }
  }
  return sequences;
}

std::vector<CodeRange> complement(std::vector<CodeRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CodeRange& a, const CodeRange& b) { return a.first < b.first; });
  std::vector<CodeRange> rest;
  char32_t next = 0;
  for (const CodeRange& range : ranges) {
    if (range.first > next) rest.push_back({next, range.first - 1});
    next = std::max<char32_t>(next, range.last + 1);
  }
  if (next <= kLastCode) rest.push_back({next, kLastCode});
  return rest;
}

}  // namespace yiti
