#include "models/text/token_trie.h"

#include <algorithm>
#include <utility>

namespace yiti {

TokenTrie::TokenTrie(std::vector<Entry> entries) {
  std::erase_if(entries, [](const Entry& entry) { return entry.text.empty(); });
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.text, a.token) < std::pair(b.text, b.token);
  });
  std::vector<size_t> path;  // of nodes, to the last text
  std::string_view last;
  const auto leave = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back()) {
      nodes_[path.back()].end = static_cast<int32_t>(nodes_.size());
    }
  };
  for (const auto& [text, token] : entries) {
    const auto common = std::mismatch(text.begin(), text.end(), last.begin(), last.end()).first;
    leave(static_cast<size_t>(common - text.begin()));
    while (path.size() < text.size()) {
      const auto byte = static_cast<uint8_t>(text[path.size()]);
      path.push_back(nodes_.size());
      nodes_.push_back({.byte = byte,
                        .depth = static_cast<int32_t>(path.size()),
                        .end = 0,
                        .tokens = static_cast<int32_t>(tokens_.size())});
    }
    depth_ = std::max(depth_, static_cast<int32_t>(text.size()));
    tokens_.push_back(token);
    last = text;
  }
  leave(0);
}

std::span<const int32_t> TokenTrie::tokens(size_t index) const {
  const auto begin = static_cast<size_t>(nodes_[index].tokens);
  const size_t end =
      index + 1 < nodes_.size() ? static_cast<size_t>(nodes_[index + 1].tokens) : tokens_.size();
  return std::span(tokens_).subspan(begin, end - begin);
}

}  // namespace yiti
