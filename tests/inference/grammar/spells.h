// Whether a grammar holds a text.
#pragma once

#include <memory>
#include <string_view>

#include "inference/grammar/grammar_automaton.h"

namespace yiti::testing {

inline bool spells(const Grammar& grammar, std::string_view text) {
  GrammarAutomaton automaton(std::make_shared<const Grammar>(grammar));
  GrammarAutomaton::State state = automaton.start();
  for (const char byte : text) state = automaton.next(state, static_cast<uint8_t>(byte));
  return state != GrammarAutomaton::kDead && automaton.accepts(state);
}

}  // namespace yiti::testing
