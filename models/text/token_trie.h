// A vocabulary's texts as a tree, to find the tokens that continue a text in one walk.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace yiti {

/// Immutable.
class TokenTrie {
 public:
  /// The texts that begin with the bytes on the way from the root to here.
  struct Node {
    uint8_t byte;    ///< the last one
    int32_t depth;   ///< the number of bytes
    int32_t end;     ///< the first node after those below this one
    int32_t tokens;  ///< the first of its own tokens, which end where the next node's begin
  };
  struct Entry {
    std::string_view text;
    int32_t token;
  };

  /// Entries without text are left out.
  explicit TokenTrie(std::vector<Entry> entries);

  /// Each node before those below it.
  std::span<const Node> nodes() const { return nodes_; }
  /// The tokens that are spelled exactly as node `index`.
  std::span<const int32_t> tokens(size_t index) const;
  int32_t depth() const { return depth_; }

 private:
  std::vector<Node> nodes_;
  std::vector<int32_t> tokens_;
  int32_t depth_ = 0;
};

}  // namespace yiti
