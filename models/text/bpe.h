// Merging the bytes of one piece of text into tokens (Sennrich et al. 2016, on bytes).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "models/text/pair_table.h"

namespace yiti {

/// A token and the length in bytes of what it covers.
struct Symbol {
  int32_t id;
  int32_t size;
};

/// What merging needs. Immutable after filling, then thread-safe.
struct MergeTables {
  std::array<int32_t, 256> byte_ids;  ///< -1: the vocabulary lacks the byte
  int32_t missing_byte = -1;          ///< stands for such a byte; -1: it is left out
  PairTable merges;                   ///< (left, right) -> rank and joined token
};

/// Merges pieces, one after the other. One thread at a time.
class PieceMerger {
 public:
  explicit PieceMerger(const MergeTables& tables) : tables_(tables) {}

  /// Appends the piece's tokens: the pair with the lowest rank is joined first, of equal ones the
  /// leftmost. O(n log n).
  void merge(std::string_view piece, std::vector<Symbol>* out);

 private:
  struct Node {
    Symbol symbol;
    int32_t previous, next;  // -1: none
  };
  struct Candidate {
    int32_t rank, left, id;
  };

  void push_candidate(int32_t left);
  void join(const Candidate& candidate);

  const MergeTables& tables_;
  std::vector<Node> nodes_;
  std::vector<Candidate> heap_;
};

}  // namespace yiti
