#include "models/text/nfc.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "models/text/utf8.h"

namespace yiti {
namespace {

struct Decomposition {
  char32_t code, first, second;  // second 0: a single character
  bool composes;                 // NFC puts first and second together again
};

struct ClassRange {
  char32_t first, last;
  int value;
};

#include "models/text/generated/nfc_tables.inc"

// Hangul syllables are computed (The Unicode Standard, 3.12).
constexpr char32_t kSyllable = 0xAC00, kLead = 0x1100, kVowel = 0x1161, kTail = 0x11A7;
constexpr char32_t kLeads = 19, kVowels = 21, kTails = 28;

int lookup(std::span<const ClassRange> table, char32_t code) {
  const auto it = std::upper_bound(table.begin(), table.end(), code,
                                   [](char32_t c, const ClassRange& r) { return c < r.first; });
  if (it == table.begin()) return 0;
  const ClassRange& range = *std::prev(it);
  return code <= range.last ? range.value : 0;
}

bool is_active(char32_t code) { return code >= 0x300 && lookup(kActive, code) != 0; }

void decompose(char32_t code, std::u32string* out) {
  if (code >= kSyllable && code < kSyllable + kLeads * kVowels * kTails) {
    const char32_t index = code - kSyllable;
    out->push_back(kLead + index / (kVowels * kTails));
    out->push_back(kVowel + index % (kVowels * kTails) / kTails);
    if (index % kTails != 0) out->push_back(kTail + index % kTails);
    return;
  }
  const auto it = std::lower_bound(std::begin(kDecompositions), std::end(kDecompositions), code,
                                   [](const Decomposition& d, char32_t c) { return d.code < c; });
  if (it == std::end(kDecompositions) || it->code != code) {
    out->push_back(code);
    return;
  }
  decompose(it->first, out);  // the table is at most four deep
  if (it->second != 0) decompose(it->second, out);
}

const std::vector<Decomposition>& compositions() {
  static const std::vector<Decomposition> sorted = [] {
    std::vector<Decomposition> table;
    std::copy_if(std::begin(kDecompositions), std::end(kDecompositions), std::back_inserter(table),
                 [](const Decomposition& d) { return d.composes; });
    std::sort(table.begin(), table.end(), [](const Decomposition& a, const Decomposition& b) {
      return std::pair(a.first, a.second) < std::pair(b.first, b.second);
    });
    return table;
  }();
  return sorted;
}

// The character that the two make together, or 0.
char32_t composed(char32_t a, char32_t b) {
  if (a >= kLead && a < kLead + kLeads && b >= kVowel && b < kVowel + kVowels) {
    return kSyllable + ((a - kLead) * kVowels + (b - kVowel)) * kTails;
  }
  const bool open =
      a >= kSyllable && a < kSyllable + kLeads * kVowels * kTails && (a - kSyllable) % kTails == 0;
  if (open && b > kTail && b < kTail + kTails) return a + (b - kTail);
  const std::pair key(a, b);
  const std::vector<Decomposition>& table = compositions();
  const auto it = std::lower_bound(
      table.begin(), table.end(), key,
      [](const Decomposition& d, const auto& k) { return std::pair(d.first, d.second) < k; });
  return it != table.end() && it->first == a && it->second == b ? it->code : 0;
}

void reorder(std::u32string* text) {
  for (auto begin = text->begin(); begin != text->end();) {
    if (lookup(kClasses, *begin) == 0) {
      ++begin;
      continue;
    }
    const auto end =
        std::find_if(begin, text->end(), [](char32_t c) { return lookup(kClasses, c) == 0; });
    std::stable_sort(begin, end, [](char32_t a, char32_t b) {
      return lookup(kClasses, a) < lookup(kClasses, b);
    });
    begin = end;
  }
}

std::u32string compose(const std::u32string& text) {
  std::u32string out;
  size_t starter = std::u32string::npos;
  int last_class = 0;  // of what stands between the starter and here
  for (const char32_t code : text) {
    const int own_class = lookup(kClasses, code);
    const bool adjacent = starter != std::u32string::npos && starter + 1 == out.size();
    const bool blocked = !adjacent && (last_class == 0 || last_class >= own_class);
    if (starter != std::u32string::npos && !blocked) {
      if (const char32_t both = composed(out[starter], code); both != 0) {
        out[starter] = both;
        continue;
      }
    }
    if (own_class == 0) starter = out.size();
    last_class = own_class;
    out.push_back(code);
  }
  return out;
}

}  // namespace

bool is_surely_nfc(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const utf8::Char c = utf8::read(text, at);
    if (is_active(c.code)) return false;
    at += static_cast<size_t>(c.size);
  }
  return true;
}

NormalizedText to_nfc(std::string_view text) {
  NormalizedText out;
  out.text.reserve(text.size());
  // A segment is an inactive character and the active ones after it; nothing reaches across.
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    std::u32string segment;
    while (at < text.size()) {
      const utf8::Char c = utf8::read(text, at);
      if (!segment.empty() && !is_active(c.code)) break;
      segment.push_back(c.code);
      at += static_cast<size_t>(c.size);
    }
    if (segment.size() > 1 || is_active(segment[0])) {
      std::u32string apart;
      for (const char32_t code : segment) decompose(code, &apart);
      reorder(&apart);
      for (const char32_t code : compose(apart)) utf8::append(&out.text, code);
    } else {
      out.text.append(text.substr(begin, at - begin));
    }
    out.origin.resize(out.text.size(), static_cast<int64_t>(begin));
  }
  out.origin.push_back(static_cast<int64_t>(text.size()));
  return out;
}

}  // namespace yiti
