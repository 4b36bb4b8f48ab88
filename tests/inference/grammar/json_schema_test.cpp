// JSON grammars hold valid JSON, and those of schemas the values that the schema allows.
#include "inference/grammar/json_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/inference/grammar/spells.h"
#include "tests/message_of.h"

namespace yiti::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

bool allows(const char* schema, std::string_view text) {
  return spells(json_schema_grammar(Json::parse(schema)), text);
}

TEST(JsonGrammar, HoldsJsonObjectsOnly) {
  const Grammar grammar = json_object_grammar();
  for (const char* text :
       {"{}", R"({"a":1})", R"({"a": [1, -2.5e+3, true, null], "b": {"c": "d"}})",
        "{\n  \"a\": \"\\u00e9\\n\"\n}", R"({"é":"語"})"}) {
    EXPECT_TRUE(spells(grammar, text)) << text;
    EXPECT_TRUE(Json::accept(text)) << text;
  }
  for (const char* text :
       {"", "[]", "1", "{", R"({"a"})", R"({"a":01})", R"({"a":1,})", "{\"a\":\"\n\"}",
        R"({"a":"\x"})", R"({"a":"\ud800"})", "{}x", "{   }"}) {
    EXPECT_FALSE(spells(grammar, text)) << text;
  }
}

TEST(JsonSchema, MembersComeInOrderAndRequiredOnesMust) {
  const char* schema = R"({"type": "object", "required": ["b"], "additionalProperties": false,
    "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}, "c": {"type": "null"}}})";
  EXPECT_TRUE(allows(schema, R"({"a":1,"b":true,"c":null})"));
  EXPECT_TRUE(allows(schema, R"({"b": false, "c": null})"));
  EXPECT_TRUE(allows(schema, R"({"a": -7, "b": false})"));
  EXPECT_TRUE(allows(schema, R"({"b":true})"));
  EXPECT_FALSE(allows(schema, R"({"a":1})"));
  EXPECT_FALSE(allows(schema, "{}"));
  EXPECT_FALSE(allows(schema, R"({"b":true,"a":1})"));
  EXPECT_FALSE(allows(schema, R"({"b":true,"d":1})"));
  EXPECT_FALSE(allows(schema, R"({"b":true,})"));
}

TEST(JsonSchema, AllOptionalMembersMayBeLeftOut) {
  const char* schema = R"({"properties": {"a": {"const": 1}, "b": {"const": 2}}})";
  for (const char* text : {"{}", R"({"a":1})", R"({"b":2})", R"({"a":1,"b":2})"}) {
    EXPECT_TRUE(allows(schema, text)) << text;
  }
  EXPECT_FALSE(allows(schema, R"({,"b":2})"));
}

TEST(JsonSchema, OtherMembersComeWhereTheyAreAllowed) {
  const char* schema = R"({"type": "object", "properties": {"a": {"const": 1}},
                           "additionalProperties": {"type": "string"}})";
  EXPECT_TRUE(allows(schema, "{}"));
  EXPECT_TRUE(allows(schema, R"({"x":"y"})"));
  EXPECT_TRUE(allows(schema, R"({"a":1,"x":"y","z":""})"));
  EXPECT_FALSE(allows(schema, R"({"x":1})"));
}

TEST(JsonSchema, ListsHaveTheirItemsAndLengths) {
  const char* schema = R"({"type": "array", "items": {"type": "integer"}, "minItems": 2,
                           "maxItems": 3})";
  EXPECT_TRUE(allows(schema, "[1,2]"));
  EXPECT_TRUE(allows(schema, "[1, 2, 3]"));
  EXPECT_FALSE(allows(schema, "[1]"));
  EXPECT_FALSE(allows(schema, "[1,2,3,4]"));
  EXPECT_TRUE(allows(R"({"type": "array", "maxItems": 0})", "[]"));
  EXPECT_TRUE(allows(R"({"items": [{"type": "integer"}, {"const": "x"}]})", R"([5, "x"])"));
  EXPECT_FALSE(allows(R"({"prefixItems": [{"type": "integer"}]})", "[]"));
}

TEST(JsonSchema, ValuesTypesAndAlternatives) {
  EXPECT_TRUE(allows(R"({"enum": ["a", 2, null]})", "null"));
  EXPECT_FALSE(allows(R"({"enum": ["a", 2, null]})", "\"b\""));
  EXPECT_TRUE(allows(R"({"type": ["string", "null"], "maxLength": 2})", "null"));
  EXPECT_TRUE(allows(R"({"type": ["string", "null"], "maxLength": 2})", "\"語é\""));
  EXPECT_FALSE(allows(R"({"type": ["string", "null"], "maxLength": 2})", "\"abc\""));
  EXPECT_TRUE(allows(R"({"anyOf": [{"type": "number"}, {"type": "boolean"}]})", "1.5"));
  EXPECT_FALSE(allows(R"({"anyOf": [{"type": "number"}, {"type": "boolean"}]})", "null"));
  EXPECT_TRUE(allows("true", R"({"any": ["thing"]})"));
  EXPECT_TRUE(allows(R"({"title": "T", "description": "d"})", "[]"));
}

TEST(JsonSchema, ReferencesMayRecur) {
  const char* schema = R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"},
    {"type": "null"}]}}, "required": ["value", "next"]}}})";
  EXPECT_TRUE(allows(schema, R"({"value":1,"next":{"value":2,"next":null}})"));
  EXPECT_FALSE(allows(schema, R"({"value":1,"next":{"value":2}})"));
}

TEST(JsonSchema, RefusesWhatItDoesNotKnowByName) {
  const auto refused = [](const char* schema, Code code) {
    return message_of([&] { json_schema_grammar(Json::parse(schema)); }, code);
  };
  EXPECT_THAT(refused(R"({"type": "string", "pattern": "a+"})", Code::kUnimplemented),
              HasSubstr("'pattern'"));
  EXPECT_THAT(refused(R"({"type": "integer", "minimum": 3})", Code::kUnimplemented),
              HasSubstr("'minimum'"));
  EXPECT_THAT(refused(R"({"anyOf": [true], "properties": {}})", Code::kUnimplemented),
              HasSubstr("'properties' beside 'anyOf'"));
  EXPECT_THAT(refused(R"({"type": "hiccup"})", Code::kInvalidArgument), HasSubstr("hiccup"));
  EXPECT_THAT(refused(R"({"type": 123})", Code::kInvalidArgument), HasSubstr("'type'"));
  EXPECT_THAT(refused("123", Code::kInvalidArgument), HasSubstr("an object or a boolean"));
  EXPECT_THAT(refused(R"({"$ref": "#/$defs/x"})", Code::kInvalidArgument), HasSubstr("#/$defs/x"));
  EXPECT_THAT(refused(R"({"$ref": "http://x"})", Code::kUnimplemented), HasSubstr("http://x"));
  EXPECT_THAT(refused(R"({"$ref": "#"})", Code::kInvalidArgument), HasSubstr("begins with itself"));
  EXPECT_THAT(refused(R"({"type": "string", "minLength": -1})", Code::kInvalidArgument),
              HasSubstr("minLength"));
}

TEST(JsonSchema, BoundsDepthAndSize) {
  std::string deep = "true";
  for (int i = 0; i < 100; ++i) deep.insert(0, R"({"items":)") += '}';
  EXPECT_THAT(message_of([&] { json_schema_grammar(Json::parse(deep)); }, Code::kResourceExhausted),
              HasSubstr("deeper"));
  std::string wide = R"({"const":1})";
  for (int i = 0; i < 5; ++i) wide.insert(0, R"({"type":"array","minItems":1000,"items":)") += '}';
  EXPECT_THAT(message_of([&] { json_schema_grammar(Json::parse(wide)); }, Code::kResourceExhausted),
              HasSubstr("larger"));
}

}  // namespace
}  // namespace yiti::testing
