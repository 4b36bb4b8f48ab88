// Grammars as what a sampler may choose from.
#pragma once

#include <memory>
#include <vector>

#include "inference/grammar/grammar.h"
#include "models/generator.h"
#include "models/text/tokenizer.h"

namespace yiti {

/// Text of the grammar, in tokens of the tokenizer and, at its end, a stop token. Control tokens
/// that are no stop tokens never come.
std::shared_ptr<const TokenConstraint> constrain(Grammar grammar, Tokenizer tokenizer,
                                                 std::vector<int32_t> stop_tokens);

}  // namespace yiti
