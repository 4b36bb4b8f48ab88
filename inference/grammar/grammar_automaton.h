// A grammar's states, found as they are reached.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "inference/grammar/grammar.h"

namespace yiti {

/// Reads bytes along a grammar. A state is the set of places in the grammar where the text so far
/// may stand, each with the rules that are open above it; states and their transitions are kept,
/// so that known ones cost a look-up. Places under more than kMaxDepth rules are given up: the
/// grammar is then followed only up to that depth. One thread at a time.
class GrammarAutomaton {
 public:
  using State = int32_t;
  static constexpr State kDead = -1;
  static constexpr int32_t kMaxDepth = 128;

  explicit GrammarAutomaton(std::shared_ptr<const Grammar> grammar);

  State start() const { return start_; }
  /// kDead where the grammar has no such text. Throws kResourceExhausted where the grammar is too
  /// ambiguous.
  State next(State state, uint8_t byte);
  /// Whether the text may end here.
  bool accepts(State state) const { return at(state).accepts; }
  /// Whether it must.
  bool is_final(State state) const { return at(state).frames.empty(); }

  size_t states() const { return states_.size(); }
  /// Forgets all states but `kept`, whose new number it returns.
  State forget_others(State kept);

 private:
  // A place in the grammar, and the frame where it goes on at the end of the rule.
  struct Frame {
    int32_t node;
    int32_t parent;  // -1: none
    int32_t depth;
  };
  struct StateData {
    std::vector<int32_t> frames;  // ascending
    bool accepts = false;
    std::array<State, 256> next = {};
  };

  const StateData& at(State state) const { return *states_[static_cast<size_t>(state)]; }
  int32_t intern(int32_t node, int32_t parent);
  State close(std::vector<int32_t> open);

  std::shared_ptr<const Grammar> grammar_;
  std::vector<Frame> frames_;
  std::unordered_map<uint64_t, int32_t> frame_ids_;
  std::vector<std::unique_ptr<StateData>> states_;
  std::map<std::pair<std::vector<int32_t>, bool>, State> state_ids_;
  State start_ = kDead;
};

}  // namespace yiti
