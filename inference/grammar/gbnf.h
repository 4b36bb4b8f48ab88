// Grammars as text.
#pragma once

#include <string_view>

#include "inference/grammar/grammar.h"

namespace yiti {

/// Reads a grammar in llama.cpp's GBNF (its grammars/README, 2025): rules `name ::= …` of literals,
/// character sets, groups, `|`, `*`, `+`, `?` and `{m,n}`, beginning with `root`. Throws
/// kInvalidArgument with the line for what is malformed, kResourceExhausted beyond the limits of
/// size and depth.
Grammar parse_gbnf(std::string_view text);

}  // namespace yiti
