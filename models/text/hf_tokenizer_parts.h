// The parts of a tokenizer.json other than its model and its added tokens.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "models/text/tokenizer.h"

namespace yiti::hf {

/// A member that is there and not null, else null. `object` may be any JSON value.
const nlohmann::json* member(const nlohmann::json& object, std::string_view key);
/// A string member; throws kInvalidArgument where it is missing or no string.
std::string text_of(const nlohmann::json& object, std::string_view key);
/// A boolean member, or `otherwise` where it is missing.
bool flag_of(const nlohmann::json& object, std::string_view key, bool otherwise);
/// A token id member; throws kInvalidArgument where it is missing or no such number.
int32_t id_of(const nlohmann::json& object, std::string_view key);
/// The number as a token id; throws kInvalidArgument, naming `what`, where it is none.
int32_t to_id(const nlohmann::json& number, std::string_view what);

/// Each reads one part of the root into `spec`. kInvalidArgument for malformed parts,
/// kUnimplemented, with its name, for what yiti does not do.
void read_normalizer(const nlohmann::json& root, TokenizerSpec* spec);
void read_pre_tokenizer(const nlohmann::json& root, TokenizerSpec* spec);
void read_post_processor(const nlohmann::json& root, TokenizerSpec* spec);

}  // namespace yiti::hf
