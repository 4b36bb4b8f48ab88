#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "training/data/jsonl.h"

namespace yiti {
namespace {

using ::testing::HasSubstr;

const std::string kChat =
    R"({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]})";

std::string error_of(std::string_view contents, const JsonlLimits& limits = {}) {
  try {
    parse_jsonl(contents, "data.jsonl", limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.what();
  }
  return "no error";
}

TEST(Jsonl, ReadsChatRowsWithWeights) {
  const auto rows = parse_jsonl(
      R"({"messages": [{"role": "system", "content": "s"}, {"role": "assistant", "content": "a",)"
      R"( "weight": 0}, {"role": "assistant", "content": "b", "weight": 1}], "id": 7})",
      "data.jsonl");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].form, RowForm::kChat);
  ASSERT_EQ(rows[0].messages.size(), 3u);
  EXPECT_FALSE(rows[0].messages[1].trained);
  EXPECT_TRUE(rows[0].messages[2].trained);
  EXPECT_EQ(rows[0].messages[2].content, "b");
}

TEST(Jsonl, ReadsCompletionAndTextRows) {
  const auto completion = parse_jsonl(R"({"prompt": "", "completion": "c"})", "data.jsonl");
  EXPECT_EQ(completion[0].form, RowForm::kCompletion);
  EXPECT_EQ(completion[0].text, "c");
  const auto text = parse_jsonl(R"({"text": "\u4e00\u4f53"})", "data.jsonl");
  EXPECT_EQ(text[0].text, "一体");
}

TEST(Jsonl, ReadsContentOfTextParts) {
  const auto rows = parse_jsonl(
      R"({"messages": [{"role": "assistant", "content": [{"type": "text", "text": "a"},)"
      R"( {"type": "text", "text": "b"}]}]})",
      "data.jsonl");
  EXPECT_EQ(rows[0].messages[0].content, "ab");
}

TEST(Jsonl, PassesOverByteOrderMarkCarriageReturnsAndBlankLines) {
  const auto rows = parse_jsonl("\xEF\xBB\xBF" + kChat + "\r\n\r\n  \n" + kChat, "data.jsonl");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].line, 1);
  EXPECT_EQ(rows[1].line, 4);
}

TEST(Jsonl, NamesFileLineFoundAndWanted) {
  const std::string error = error_of(kChat + "\n{\"text\": 5}\n");
  EXPECT_THAT(error, HasSubstr("data.jsonl:2: \"text\" is of type number; wants a string"));
}

TEST(Jsonl, ReportsEveryProblemAtOnceUpToALimit) {
  std::string contents;
  for (int i = 0; i < 25; ++i) contents += "[]\n";
  const std::string error = error_of(contents);
  EXPECT_THAT(error, HasSubstr("25 of the lines cannot be used"));
  EXPECT_THAT(error, HasSubstr("data.jsonl:20: "));
  EXPECT_THAT(error, testing::Not(HasSubstr("data.jsonl:21: ")));
  EXPECT_THAT(error, HasSubstr("and 5 more"));
}

struct BadLine {
  std::string name, line, message;
};

class JsonlBadLine : public testing::TestWithParam<BadLine> {};

TEST_P(JsonlBadLine, IsRefusedWithAReason) {
  const std::string error = error_of(GetParam().line);
  EXPECT_THAT(error, HasSubstr("data.jsonl:1: "));
  EXPECT_THAT(error, HasSubstr(GetParam().message));
}

std::string with_messages(const std::string& messages) {
  return R"({"messages": )" + messages + "}";
}

INSTANTIATE_TEST_SUITE_P(
    All, JsonlBadLine,
    testing::Values(
        BadLine{"Malformed", R"({"text": "a")", "malformed JSON: \"column 13: syntax error"},
        BadLine{"TwoValues", R"({"text": "a"} {})", "malformed JSON"},
        BadLine{"KeyTwice", R"({"text": "a", "text": "b"})", "twice"},
        BadLine{"HugeNumber", R"({"text": 1e999})", "malformed JSON"},
        BadLine{"InvalidUtf8", "{\"text\": \"\xC3(\"}", "invalid UTF-8 at column 11 (byte 0xc3)"},
        BadLine{"LoneSurrogate", R"({"text": "\ud800"})", "malformed JSON"},
        BadLine{"NotAnObject", "[1]", "of type array; wants a JSON object"},
        BadLine{"NoKnownKey", R"({"question": "a"})", "none of the known keys"},
        BadLine{"TwoForms", R"({"text": "a", "prompt": "b", "completion": "c"})", "several forms"},
        BadLine{"NoCompletion", R"({"prompt": "a"})", "has no \"completion\""},
        BadLine{"EmptyCompletion", R"({"prompt": "a", "completion": ""})", "is empty"},
        BadLine{"EmptyText", R"({"text": ""})", "is empty"},
        BadLine{"MessagesNotArray", with_messages("{}"), "of type object; wants an array"},
        BadLine{"MessagesEmpty", with_messages("[]"), "\"messages\" is empty"},
        BadLine{"MessageNotObject", with_messages("[3]"), "messages[0]: is of type number"},
        BadLine{"NoRole", with_messages(R"([{"content": "a"}])"), "messages[0]: has no \"role\""},
        BadLine{"UnknownRole", with_messages(R"([{"role": "bot", "content": "a"}])"),
                "unknown role \"bot\""},
        BadLine{"NullContent", with_messages(R"([{"role": "assistant", "content": null}])"),
                "\"content\" is of type null"},
        BadLine{"ImagePart",
                with_messages(R"([{"role": "user", "content": [{"type": "image_url"}]}])"),
                "wants text only"},
        BadLine{"NoAssistant", with_messages(R"([{"role": "user", "content": "a"}])"),
                "no assistant message"},
        BadLine{"OddWeight",
                with_messages(R"([{"role": "assistant", "content": "a", "weight": 0.5}])"),
                "\"weight\" is 0.5; wants 0 or 1"},
        BadLine{"TextWeight",
                with_messages(R"([{"role": "assistant", "content": "a", "weight": "1"}])"),
                "wants 0 or 1"},
        BadLine{"UserWeight", with_messages(R"([{"role": "user", "content": "a", "weight": 1}])"),
                "assistant messages only"},
        BadLine{"AllWeightZero",
                with_messages(R"([{"role": "assistant", "content": "a", "weight": 0}])"),
                "every assistant message has weight 0"},
        BadLine{"ToolCalls",
                with_messages(R"([{"role": "assistant", "content": "a", "tool_calls": [1]}])"),
                "\"tool_calls\" is not supported"},
        BadLine{"Tools", R"({"messages": [], "tools": [1]})", "\"tools\" is not supported"},
        BadLine{"Deep", std::string(100000, '['), "deeper than 32 levels"},
        BadLine{"DeepObject", R"({"text": "a", "x": )" + std::string(1000, '['),
                "deeper than 32 levels"}),
    [](const auto& test) { return test.param.name; });

TEST(Jsonl, RefusesAFileOfSeveralForms) {
  EXPECT_THAT(error_of(kChat + "\n{\"text\": \"a\"}"),
              HasSubstr("data.jsonl:2: a row of the form text; wants messages, as in line 1"));
}

TEST(Jsonl, RefusesAFileWithoutRows) { EXPECT_THAT(error_of("\n \n"), HasSubstr("has no rows")); }

TEST(Jsonl, BoundsTheLengthOfALine) {
  EXPECT_THAT(error_of(kChat, {.line_bytes = 20}), HasSubstr("wants at most 20"));
}

TEST(Jsonl, AnyTruncationIsReadOrRefused) {
  const std::string contents = kChat + "\n" + kChat;
  for (size_t length = 0; length < contents.size(); ++length) {
    const JsonlReport report = scan_jsonl(contents.substr(0, length));
    EXPECT_LE(report.rows.size() + static_cast<size_t>(report.problem_count), 2u);
  }
}

TEST(Jsonl, AnyChangedByteIsReadOrRefused) {
  for (size_t at = 0; at < kChat.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = kChat;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      scan_jsonl(changed);
    }
  }
}

class JsonlFile : public testing::Test {
 protected:
  void SetUp() override { std::ofstream(path_, std::ios::binary) << kChat << "\n"; }
  void TearDown() override { std::filesystem::remove(path_); }
  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() /
      (std::string("yiti_jsonl_") + testing::UnitTest::GetInstance()->current_test_info()->name() +
       ".jsonl");
};

TEST_F(JsonlFile, IsRead) { EXPECT_EQ(read_jsonl(path_).size(), 1u); }

TEST_F(JsonlFile, IsRefusedWhenTooLong) {
  EXPECT_THROW(read_jsonl(path_, {.file_bytes = 10}), Error);
}

TEST_F(JsonlFile, IsRefusedWhenMissingOrAFolder) {
  EXPECT_THROW(read_jsonl(path_.string() + "x"), Error);
  EXPECT_THROW(read_jsonl(path_.parent_path()), Error);
}

}  // namespace
}  // namespace yiti
