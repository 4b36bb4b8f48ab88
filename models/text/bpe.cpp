#include "models/text/bpe.h"

#include <algorithm>

namespace yiti {
namespace {

constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
};

}  // namespace

void PieceMerger::push_candidate(int32_t left) {
  const Node& node = nodes_[static_cast<size_t>(left)];
  if (node.next < 0) return;
  const int32_t right_id = nodes_[static_cast<size_t>(node.next)].symbol.id;
  if (const auto* merge = tables_.merges.find(node.symbol.id, right_id)) {
    heap_.push_back({merge->rank, left, merge->id});
    std::push_heap(heap_.begin(), heap_.end(), kLater);
  }
}

void PieceMerger::join(const Candidate& candidate) {
  Node& left = nodes_[static_cast<size_t>(candidate.left)];
  // The heap keeps candidates whose tokens have been joined with others since.
  if (left.symbol.size == 0 || left.next < 0) return;
  Node& right = nodes_[static_cast<size_t>(left.next)];
  const auto* merge = tables_.merges.find(left.symbol.id, right.symbol.id);
  if (merge == nullptr || merge->id != candidate.id) return;
  left.symbol = {candidate.id, left.symbol.size + right.symbol.size};
  right.symbol.size = 0;
  left.next = right.next;
  if (left.next >= 0) nodes_[static_cast<size_t>(left.next)].previous = candidate.left;
  if (left.previous >= 0) push_candidate(left.previous);
  push_candidate(candidate.left);
}

void PieceMerger::merge(std::string_view piece, std::vector<Symbol>* out) {
  nodes_.clear();
  heap_.clear();
  int32_t dropped = 0;  // bytes at the beginning; later ones count to the token before them
  for (const char c : piece) {
    const int32_t own = tables_.byte_ids[static_cast<uint8_t>(c)];
    const int32_t id = own >= 0 ? own : tables_.missing_byte;
    if (id < 0) {
      ++(nodes_.empty() ? dropped : nodes_.back().symbol.size);
      continue;
    }
    const auto at = static_cast<int32_t>(nodes_.size());
    nodes_.push_back({{id, 1 + dropped}, at - 1, at + 1});
    dropped = 0;
  }
  if (nodes_.empty()) return;
  nodes_.back().next = -1;
  for (size_t i = 0; i + 1 < nodes_.size(); ++i) push_candidate(static_cast<int32_t>(i));
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), kLater);
    const Candidate best = heap_.back();
    heap_.pop_back();
    join(best);
  }
  for (int32_t i = 0; i >= 0; i = nodes_[static_cast<size_t>(i)].next) {
    out->push_back(nodes_[static_cast<size_t>(i)].symbol);
  }
}

}  // namespace yiti
