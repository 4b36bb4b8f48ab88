// Grammars and schemas from strangers: what stands before a zero byte is GBNF, or a JSON
// schema, and what follows a text that is read along it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.h"
#include "inference/grammar/gbnf.h"
#include "inference/grammar/grammar_automaton.h"
#include "inference/grammar/json_schema.h"

namespace {

yiti::Grammar read_grammar(std::string_view text) {
  const auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  return json.is_discarded() ? yiti::parse_gbnf(text) : yiti::json_schema_grammar(json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(static_cast<const char*>(static_cast<const void*>(data)), size);
  // Deep nesting is refused before JSON comes here.
  if (std::count(all.begin(), all.end(), '[') + std::count(all.begin(), all.end(), '{') > 500)
    return 0;
  const size_t half = std::min(all.find('\0'), size);
  try {
    yiti::GrammarAutomaton automaton(
        std::make_shared<const yiti::Grammar>(read_grammar(all.substr(0, half))));
    auto state = automaton.start();
    for (const char byte : all.substr(half)) {
      state = automaton.next(state, static_cast<uint8_t>(byte));
    }
    if (state != yiti::GrammarAutomaton::kDead) automaton.forget_others(state);
  } catch (const yiti::Error&) {
    return 0;
  }
  return 0;
}
