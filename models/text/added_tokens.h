// Finding added tokens (special and user-defined ones) in a text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/pair_table.h"
#include "models/text/regex.h"
#include "models/text/tokenizer.h"

namespace yiti {

/// An added token found at bytes [begin, end).
struct FoundToken {
  int32_t id;
  size_t begin, end;
};

/// Immutable and thread-safe.
class AddedTokenFinder {
 public:
  struct Entry {
    AddedToken token;
    std::string text;
  };
  explicit AddedTokenFinder(std::vector<Entry> entries);

  /// In order and without overlap: of several at one place the longest.
  std::vector<FoundToken> find_all(std::string_view text) const;

 private:
  struct Hit {
    int32_t entry;  ///< -1: none
    size_t size;
  };
  Hit longest_at(std::string_view text, size_t at) const;
  bool touches_word(std::string_view text, size_t begin, size_t end) const;

  std::vector<Entry> entries_;
  PairTable trie_;  ///< (node, byte) -> next node
  std::vector<int32_t> entry_at_node_;
  std::vector<uint8_t> begins_;  ///< by byte: whether a token begins with it
  Regex word_, space_;
};

}  // namespace yiti
