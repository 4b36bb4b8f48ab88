// What a completion continues, and an embedding embeds.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "models/text/tokenizer.h"

namespace yiti::serving {

using PromptPart = std::variant<std::string, int32_t>;
/// A text, tokens, or texts and tokens in turn.
using Prompt = std::variant<std::string, std::vector<int32_t>, std::vector<PromptPart>>;

/// Reads a string, tokens, tokens mixed with strings, {"prompt_string": …}, or a list of these.
/// `field` is its name in errors. Throws ApiException.
std::vector<Prompt> read_prompts(const nlohmann::ordered_json& given, std::string_view field);

/// Throws ApiException for tokens that the tokenizer does not have.
std::vector<int32_t> encode_prompt(const Prompt& prompt, const Tokenizer& tokenizer,
                                   std::string_view field);

}  // namespace yiti::serving
