// Calls of tools are found in what models write, and grammars make models write them.
#include "serving/tool_syntax.h"

#include <gtest/gtest.h>

#include "tests/inference/grammar/spells.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

struct Read {
  std::string text;
  std::vector<ToolCall> calls;
};

// Pushes the answer in pieces of `size` bytes.
Read read(ToolSyntax syntax, std::string_view answer, size_t size) {
  ToolCallParser parser(syntax);
  Read all;
  const auto add = [&](ParsedReply reply) {
    all.text += reply.text;
    all.calls.insert(all.calls.end(), reply.calls.begin(), reply.calls.end());
  };
  for (size_t at = 0; at < answer.size(); at += size) add(parser.push(answer.substr(at, size)));
  add(parser.finish());
  return all;
}

TEST(ToolCallParser, FindsTaggedCallsHoweverTheTextComes) {
  constexpr std::string_view kAnswer =
      "Let me look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": "
      "\"<x>\"}}\n</tool_call>\n"
      "<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>\n";
  for (size_t size = 1; size <= kAnswer.size(); ++size) {
    const Read got = read(ToolSyntax::kTagged, kAnswer, size);
    EXPECT_EQ(got.text.substr(0, 12), "Let me look.") << size;
    ASSERT_EQ(got.calls.size(), 2U) << size;
    EXPECT_EQ(got.calls[0].name, "f");
    EXPECT_EQ(got.calls[0].arguments, R"({"a":"<x>"})");
    EXPECT_EQ(got.calls[1].name, "g");
  }
}

TEST(ToolCallParser, LeavesTextThatIsNoCallAsItIs) {
  for (const std::string_view answer :
       {"", "plain  text \n", "a < b <tool", "<tool_call>not json</tool_call>",
        "<tool_call>{\"name\"", "<tool_call>{\"name\": \"f\", \"arguments\": 3}</tool_call> x"}) {
    for (const size_t size : {size_t{1}, size_t{7}, size_t{100}}) {
      const Read got = read(ToolSyntax::kTagged, answer, size);
      EXPECT_EQ(got.text, answer);
      EXPECT_TRUE(got.calls.empty());
    }
  }
}

TEST(ToolCallParser, FindsBareCalls) {
  for (const size_t size : {size_t{1}, size_t{5}, size_t{100}}) {
    const Read one = read(ToolSyntax::kBare, R"( {"name": "f", "parameters": {"q": "a;b"}})", size);
    ASSERT_EQ(one.calls.size(), 1U);
    EXPECT_EQ(one.calls[0].arguments, R"({"q":"a;b"})");
    EXPECT_EQ(one.text, "");
    const Read two =
        read(ToolSyntax::kBare,
             R"({"name": "f", "parameters": {}}; {"name": "g", "parameters": {}})", size);
    EXPECT_EQ(two.calls.size(), 2U);
    EXPECT_EQ(read(ToolSyntax::kBare, "{\"other\": 1}", size).text, "{\"other\": 1}");
    EXPECT_EQ(read(ToolSyntax::kBare, "It rains.", size).text, "It rains.");
  }
}

TEST(ToolSyntax, IsFoundInTheTemplate) {
  EXPECT_EQ(tool_syntax("{% if tools %}<tool_call>"), ToolSyntax::kTagged);
  EXPECT_EQ(tool_syntax("{% if tools %}{\"name\": x, \"parameters\": y}"), ToolSyntax::kBare);
  EXPECT_EQ(tool_syntax("{% for message in messages %}"), std::nullopt);
}

TEST(ToolCallGrammar, HoldsCallsOfTheToolsWithTheirArguments) {
  ToolRequest request;
  request.tools = Json::parse(R"([
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object",
      "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}}},
    {"type": "function", "function": {"name": "g"}}])");
  request.choice = ToolChoice::kRequired;
  const Grammar any = tool_call_grammar(ToolSyntax::kTagged, request);
  const std::string f =
      "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"ok\":true}}\n</tool_call>";
  const std::string g = "<tool_call>\n{\"name\": \"g\", \"arguments\": {\"x\": 1}}\n</tool_call>";
  EXPECT_TRUE(testing::spells(any, f));
  EXPECT_TRUE(testing::spells(any, f + "\n" + g));
  EXPECT_FALSE(testing::spells(any, ""));
  EXPECT_FALSE(testing::spells(any, "text"));
  request.named = "f";
  request.parallel = false;
  const Grammar named = tool_call_grammar(ToolSyntax::kTagged, request);
  EXPECT_TRUE(testing::spells(named, f));
  EXPECT_FALSE(testing::spells(named, g));
  EXPECT_FALSE(testing::spells(named, f + "\n" + f));
  const Grammar bare = tool_call_grammar(ToolSyntax::kBare, request);
  EXPECT_TRUE(testing::spells(bare, R"({"name": "f", "parameters": {"ok":false}})"));
}

}  // namespace
}  // namespace yiti::serving
