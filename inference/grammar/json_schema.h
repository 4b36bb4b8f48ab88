// JSON schemas as grammars: texts that are valid by construction.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "inference/grammar/json_grammar.h"

namespace yiti {

/// The JSON values that a schema (2020-12; definitions and items as a list as before it) allows,
/// as an expression of the grammar. Supported: boolean schemas, type, enum, const, properties,
/// required, additionalProperties, items, prefixItems, minItems, maxItems, minLength, maxLength,
/// anyOf, oneOf (as anyOf), allOf of one schema, $ref within the schema, $defs, definitions, and
/// annotations, which say nothing. Members come in the order of `properties`; beside `properties`
/// there are others only where additionalProperties allows it. Throws kInvalidArgument naming a
/// keyword that is malformed, kUnimplemented naming one that is not supported. `prefix` keeps the
/// rules of several schemas in one builder apart.
GrammarBuilder::Id json_schema_expression(GrammarBuilder& builder, JsonGrammar& json,
                                          const nlohmann::ordered_json& schema,
                                          std::string_view prefix);

/// The same as a whole grammar.
Grammar json_schema_grammar(const nlohmann::ordered_json& schema);

}  // namespace yiti
