#include "serving/bounded_json.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>

namespace yiti::serving {
namespace {

std::string error_of(const std::string& text) {
  try {
    parse_request_json(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(BoundedJson, KeepsTheOrderOfMembers) {
  EXPECT_EQ(parse_request_json(R"({"b":1,"a":[true,null]})").dump(), R"({"b":1,"a":[true,null]})");
}

TEST(BoundedJson, NamesThePositionOfAnError) {
  EXPECT_EQ(error_of(R"({"a" 1})"), "JSON: not valid at byte 6");
  EXPECT_EQ(error_of(""), "JSON: not valid at byte 1");
  EXPECT_EQ(error_of("\"\xff\""), "JSON: not valid at byte 2");
}

TEST(BoundedJson, RefusesDeepNesting) {
  EXPECT_EQ(error_of(std::string(64, '[') + std::string(64, ']')), "");
  EXPECT_EQ(error_of(std::string(100'000, '[')), "JSON: nested deeper than 64 levels at byte 64");
  EXPECT_EQ(error_of(std::string(65, '[') + std::string(65, ']')),
            "JSON: nested deeper than 64 levels at byte 64");
}

TEST(BoundedJson, DoesNotCountBracketsInStrings) {
  EXPECT_EQ(error_of("\"" + std::string(1000, '[') + R"(\"{\\")"), "");
}

TEST(BoundedJson, RefusesTooManyMembers) {
  std::string text = "{\"k0\":0";
  for (int i = 1; i <= 256; ++i) text += ",\"k" + std::to_string(i) + "\":0";
  EXPECT_THAT(error_of(text + "}"), ::testing::HasSubstr("more than 256 members"));
}

TEST(BoundedJson, RefusesTooManyValues) {
  std::string text = "[0";
  for (int i = 0; i < (1 << 19); ++i) text += ",0";
  EXPECT_THAT(error_of(text + "]"), ::testing::HasSubstr("more than 524288 values"));
}

TEST(BoundedJson, RefusesNumbersOutOfRange) {
  EXPECT_EQ(error_of("1e999"), "JSON: a number is out of range");
}

}  // namespace
}  // namespace yiti::serving
