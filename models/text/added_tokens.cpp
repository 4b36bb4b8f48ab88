#include "models/text/added_tokens.h"

#include "models/text/utf8.h"

namespace yiti {
namespace {

constexpr size_t kMaxTokenBytes = 1024;

size_t trie_capacity(const std::vector<AddedTokenFinder::Entry>& entries) {
  size_t bytes = 0;
  for (const auto& entry : entries) bytes += entry.text.size();
  return bytes;
}

// The beginning of the character that ends at `end` (> 0); of a byte where there is none.
size_t character_before(std::string_view text, size_t end) {
  size_t at = end - 1;
  while (at > 0 && end - at < 4 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  const int size = utf8::read(text, at).size;
  return at + static_cast<size_t>(size) == end ? at : end - 1;
}

bool begins_with(const Regex& regex, std::string_view text, size_t at) {
  const int size = utf8::read(text, at).size;
  return size > 0 && regex.matches_prefix(text.substr(at, static_cast<size_t>(size)));
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<Entry> entries)
    : entries_(std::move(entries)),
      trie_(trie_capacity(entries_)),
      entry_at_node_{-1},
      begins_(256),
      word_(R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}])"),
      space_(R"([\p{Z}\t-\r\x{85}])") {
  for (size_t i = 0; i < entries_.size(); ++i) {
    const std::string& text = entries_[i].text;
    check(!text.empty() && text.size() <= kMaxTokenBytes, "tokenizer",
          "added token {} has {} bytes; wants 1 to {}", entries_[i].token.id, text.size(),
          kMaxTokenBytes);
    int32_t node = 0;
    for (const char c : text) {
      const auto byte = static_cast<uint8_t>(c);
      const auto fresh = static_cast<int32_t>(entry_at_node_.size());
      trie_.insert(node, byte, {0, fresh});
      node = trie_.find(node, byte)->id;
      if (node == fresh) entry_at_node_.push_back(-1);
    }
    entry_at_node_[static_cast<size_t>(node)] = static_cast<int32_t>(i);
    begins_[static_cast<uint8_t>(text[0])] = 1;
  }
}

AddedTokenFinder::Hit AddedTokenFinder::longest_at(std::string_view text, size_t at) const {
  Hit best{-1, 0};
  int32_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    const auto* next = trie_.find(node, static_cast<uint8_t>(text[i]));
    if (next == nullptr) break;
    node = next->id;
    const int32_t entry = entry_at_node_[static_cast<size_t>(node)];
    if (entry >= 0) best = {entry, i + 1 - at};
  }
  return best;
}

bool AddedTokenFinder::touches_word(std::string_view text, size_t begin, size_t end) const {
  if (begin > 0 && begins_with(word_, text, character_before(text, begin))) return true;
  return end < text.size() && begins_with(word_, text, end);
}

std::vector<FoundToken> AddedTokenFinder::find_all(std::string_view text) const {
  std::vector<FoundToken> out;
  if (entries_.empty()) return out;
  size_t done = 0;  // what lies before belongs to the tokens found
  for (size_t at = 0; at < text.size();) {
    if (begins_[static_cast<uint8_t>(text[at])] == 0) {
      ++at;
      continue;
    }
    const Hit hit = longest_at(text, at);
    if (hit.entry < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = entries_[static_cast<size_t>(hit.entry)].token;
    size_t begin = at, end = at + hit.size;
    at = end;
    if (token.single_word && touches_word(text, begin, end)) continue;
    while (token.lstrip && begin > done) {
      const size_t before = character_before(text, begin);
      if (before < done || !begins_with(space_, text, before)) break;
      begin = before;
    }
    while (token.rstrip && end < text.size() && begins_with(space_, text, end)) {
      end += static_cast<size_t>(utf8::read(text, end).size);
    }
    out.push_back({token.id, begin, end});
    at = done = end;
  }
  return out;
}

}  // namespace yiti
