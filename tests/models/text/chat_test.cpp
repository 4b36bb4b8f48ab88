#include "models/text/chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/text/named_templates.h"
#include "tests/models/text/fixtures.h"

namespace yiti {
namespace {

using nlohmann::ordered_json;
using test::read_cases;
using test::read_data;
using testing::HasSubstr;

ChatTemplate parsed(std::string_view source, SpecialTokenTexts special = {}) {
  return ChatTemplate::parse(source, std::move(special)).value();
}

std::string rendered(std::string_view source) {
  return parsed(source).render(ordered_json::array());
}

ChatTemplate from_file(const std::string& name) {
  return parsed(read_data("chat/" + name), {"<s>", "</s>", "", ""});
}

// The options and what they point to.
struct CaseOptions {
  explicit CaseOptions(const ordered_json& c) : variables(c["variables"]) {
    options.add_generation_prompt = variables["add_generation_prompt"].get<bool>();
    options.variables = &variables;
  }
  ordered_json variables;
  ChatOptions options;
};

TEST(ChatTemplate, RendersAsJinja2InTransformers) {
  for (const auto& c : read_cases("chat/cases.json")) {
    const CaseOptions given(c);
    const ChatTemplate chat = from_file(c["template"].get<std::string>());
    const auto text =
        capture_errors("test", [&] { return chat.render(c["messages"], given.options); });
    EXPECT_EQ(text.ok(), c.contains("text"))
        << c["template"] << c["messages"] << (text.ok() ? "" : text.error().what());
    if (text.ok() && c.contains("text")) {
      EXPECT_EQ(Result(text).value(), c["text"].get<std::string>())
          << c["template"] << c["messages"] << c["variables"];
    }
  }
}

TEST(ChatTemplate, FindsWhatGenerationBlocksWrite) {
  int checked = 0;
  for (const auto& c : read_cases("chat/cases.json")) {
    if (!c.contains("spans")) continue;
    const CaseOptions given(c);
    const RenderedChat chat =
        from_file(c["template"].get<std::string>()).render_with_spans(c["messages"], given.options);
    std::vector<std::vector<int64_t>> spans;
    for (const TextSpan& span : chat.assistant) spans.push_back({span.begin, span.end});
    EXPECT_EQ(spans, c["spans"].get<std::vector<std::vector<int64_t>>>());
    ++checked;
  }
  EXPECT_GT(checked, 3);
}

TEST(ChatTemplate, RendersTheRealModelsChats) {
  const ChatTemplate chat = parsed(read_data("smollm2/chat_template.jinja"));
  for (const auto& c : read_cases("smollm2/chat.json")) {
    EXPECT_EQ(chat.render(c["messages"], {true, nullptr, {}}), c["text"].get<std::string>());
  }
}

TEST(ChatTemplate, TakesMessagesAsStructs) {
  const std::vector<Message> messages = {{"user", "Hi", ""},
                                         {"assistant", "Hello", R"({"name": "x"})"}};
  EXPECT_EQ(parsed("{% for m in messages %}{{ m.role ~ m.content ~ m.name }};{% endfor %}")
                .render(messages),
            "userHi;assistantHellox;");
  EXPECT_THROW(messages_to_json(std::vector<Message>{{"user", "", "[1]"}}), Error);
}

std::vector<std::string> said(const RenderedChat& chat) {
  std::vector<std::string> out;
  for (const TextSpan& span : chat.assistant) {
    out.push_back(chat.text.substr(static_cast<size_t>(span.begin),
                                   static_cast<size_t>(span.end - span.begin)));
  }
  return out;
}

const ordered_json kTurns = ordered_json::parse(R"([
  {"role": "user", "content": "A?"}, {"role": "assistant", "content": "One.\n"},
  {"role": "user", "content": "B?"}, {"role": "assistant", "content": "Two."}])");

TEST(ChatTemplate, FindsAnswersByRenderingPrefixes) {
  EXPECT_THAT(said(from_file("chatml.jinja").render_with_spans(kTurns)),
              testing::ElementsAre("One.\n<|im_end|>", "Two.<|im_end|>"));
  EXPECT_THAT(said(from_file("llama3.jinja").render_with_spans(kTurns)),
              testing::ElementsAre("One.<|eot_id|>", "Two.<|eot_id|>"));
  EXPECT_THAT(said(from_file("mistral.jinja").render_with_spans(kTurns)),
              testing::ElementsAre(" One.</s>", " Two.</s>"));
}

TEST(ChatTemplate, KeepsTheLineEndOfATurnThatNothingElseEnds) {
  const ChatTemplate chat = parsed(
      "{% for m in messages %}{{ m.role ~ ': ' ~ m.content ~ '\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}");
  EXPECT_THAT(said(chat.render_with_spans(kTurns)), testing::ElementsAre("One.\n\n", "Two.\n"));
}

TEST(ChatTemplate, SaysWhenAnswersCannotBeFound) {
  const ChatTemplate chat =
      parsed("{{ messages|length }}{{ messages|map(attribute='content')|join }}");
  try {
    chat.render_with_spans(kTurns);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    EXPECT_THAT(error.what(), HasSubstr("generation"));
  }
}

TEST(ChatTemplate, GivesTheMessageAndLineOfWhatTheTemplateRaises) {
  try {
    rendered("a\n{{ raise_exception('roles ' ~ 1) }}");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_STREQ(error.what(), "chat template: line 2: roles 1");
  }
}

TEST(ChatTemplate, TellsTheTimeItIsGiven) {
  const ChatOptions options{false, nullptr, int64_t{1'700'000'000}};
  const std::string text =
      parsed("{{ strftime_now('%Y-%m') }}").render(ordered_json::array(), options);
  EXPECT_EQ(text, "2023-11");
  EXPECT_THROW(rendered("{{ strftime_now('%Q') }}"), Error);
  EXPECT_THROW(rendered("{{ strftime_now('%') }}"), Error);
}

TEST(ChatTemplate, ScopesNamesAsJinja) {
  EXPECT_EQ(
      rendered(
          "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 5 %}{{ x }}{% endfor %}{{ x }}"),
      "15151");
  EXPECT_EQ(rendered("{% if true %}{% set x = 1 %}{% endif %}{{ x }}"), "1");
  EXPECT_EQ(rendered("{% macro m() %}{{ y }}{% endmacro %}{% set y = 3 %}{{ m() }}"), "3");
  EXPECT_EQ(
      rendered("{% macro m(a, b=2) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}{{ m(b=3) }}"),
      "123");
}

TEST(ChatTemplate, GoesThroughTheCharactersOfTexts) {
  EXPECT_EQ(rendered("{{ 'añc'|join('-') }} {{ 'ab'|map('upper')|list }} {{ 'aba'|unique|list }}"),
            "a-ñ-c ['A', 'B'] ['a', 'b']");
  EXPECT_EQ(rendered("{{ '-'.join('añc') }} {{ 'ab'|select('eq', 'b')|list }}"), "a-ñ-c ['b']");
}

TEST(ChatTemplate, TakesWrongValuesAsJinja) {
  EXPECT_EQ(rendered("{{ none|map('upper')|list }}{{ 1 is lower }}{{ 3|round }}"), "[]False3");
  EXPECT_THROW(rendered("{{ a >= b }}"), Error);
  EXPECT_THROW(rendered("{{ 1|indent }}"), Error);
  EXPECT_THROW(rendered("{{ none[1:] }}"), Error);
}

class MalformedTemplate : public testing::TestWithParam<const char*> {};

TEST_P(MalformedTemplate, IsRefusedWithItsLine) {
  const auto chat = ChatTemplate::parse(std::string("\n") + GetParam());
  ASSERT_FALSE(chat.ok()) << GetParam();
  EXPECT_THAT(chat.error().what(), HasSubstr("line 2"));
}

INSTANTIATE_TEST_SUITE_P(
    Sources, MalformedTemplate,
    testing::Values("{{", "{%", "{#", "{{ 'a }}", "{{ a b }}", "{% if %}", "{% if a %}",
                    "{% endif %}", "{% for %}", "{% for x in %}{% endfor %}", "{{ (1 }}",
                    "{{ 1) }}", "{{ [1, }", "{% set %}", "{% nonsense %}", "{{ a.}}", "{{ a|}}",
                    "{{ a is }}", "{{ 99999999999999999999 }}", "{% raw %}", "{% include 'x' %}",
                    "{% break %}", "{{ '\\ud800' }}", "{% macro m(a=1, b) %}{% endmacro %}",
                    "{% call x %}{% endcall %}", "{{ a[:::] }}", "{{ ? }}", "{% else %}"));

class WrongTemplate : public testing::TestWithParam<const char*> {};

TEST_P(WrongTemplate, FailsWhenItRuns) { EXPECT_THROW(rendered(GetParam()), Error) << GetParam(); }

INSTANTIATE_TEST_SUITE_P(
    Sources, WrongTemplate,
    testing::Values("{{ 1 / 0 }}", "{{ 1 // 0 }}", "{{ 1 % 0 }}", "{{ 'a' + 1 }}",
                    "{{ nothing.x }}", "{{ nothing() }}", "{{ 'a'() }}", "{{ [].append(1) }}",
                    "{{ 1 in 2 }}", "{{ 'a' < 1 }}", "{{ none|length }}", "{{ [1]|nonsense }}",
                    "{{ 1 is nonsense }}", "{{ 9223372036854775807 + 1 }}",
                    "{{ -9223372036854775807 - 2 }}", "{{ 10 ** 100 }}", "{% set a, b = [1] %}",
                    "{% set a.b = 1 %}", "{% for x in 1 %}{% endfor %}", "{{ [1, 2][::0] }}",
                    "{{ range(1000000)|length }}", "{{ {[]: 1} }}",
                    "{{ 'x' * 9223372036854775807 }}", "{{ [0] * 100000000 }}",
                    "{{ ''.join([1]) }}", "{{ namespace(__class__=1) }}", "{{ '%d' % 'x' }}",
                    "{{ 1|tojson(separators=1) }}", "{{ raise_exception|tojson }}"));

class GreedyTemplate : public testing::TestWithParam<const char*> {};

TEST_P(GreedyTemplate, HitsABound) {
  try {
    rendered(GetParam());
    FAIL() << GetParam();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kResourceExhausted) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Sources, GreedyTemplate,
    testing::Values(
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% call m() %}{% endcall %}{{ caller() }}{% endmacro %}{{ m() }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(x='x') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% "
        "endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% "
        "endfor %}",
        "{% set ns = namespace(x=1) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}{% endfor %}",
        "{% set ns = namespace(x=1) %}{% for i in range(999) %}{% set ns.x = {'a': ns.x} %}{% "
        "endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(999) %}{% set ns.x = [ns.x.count] %}{% "
        "endfor %}",
        "{% set ns = namespace(x=1) %}{% for i in range(999) %}{% for j in [ns.x] %}{% set ns.x = "
        "loop %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% "
        "endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] "
        "%}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
        "{% for i in range(99999) %}{{ 'x' * 9999 }}{% endfor %}",
        "{% set x = 'a' * 999999 %}{{ x|replace('', x) }}", "{{ '' | indent(999999999999) }}"));

TEST(ChatTemplate, LetsNamespacesPointAtThemselves) {
  EXPECT_EQ(rendered("{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns.x }}"), "[<namespace>]");
  EXPECT_EQ(rendered("{% set ns = namespace() %}{% macro m() %}{% endmacro %}{% set ns.m = m %}"),
            "");
  EXPECT_EQ(rendered("{% set ns = namespace() %}{% for i in [1] %}{% set ns.l = loop %}{% endfor %}"
                     "{{ ns.l.changed(ns.l) }}"),
            "True");
}

TEST(ChatTemplate, RefusesDeepAndLongSources) {
  const auto refused = [](const std::string& source) { return !ChatTemplate::parse(source).ok(); };
  EXPECT_TRUE(refused("{{ " + std::string(5000, '(') + "1" + std::string(5000, ')') + " }}"));
  EXPECT_TRUE(refused("{{ " + std::string(5000, '[') + std::string(5000, ']') + " }}"));
  EXPECT_TRUE(refused("{{ " + std::string(5000, '-') + "1 }}"));
  std::string nots, dots, ifs, ends, conditionals, filters;
  for (int i = 0; i < 5000; ++i) {
    nots += "not ";
    dots += ".a";
    ifs += "{% if 1 %}";
    ends += "{% endif %}";
    conditionals += "1 if 0 else ";
    filters += "|trim";
  }
  EXPECT_TRUE(refused("{{ " + nots + "1 }}"));
  EXPECT_TRUE(refused("{{ a" + dots + " }}"));
  EXPECT_TRUE(refused("{{ a" + filters + " }}"));
  EXPECT_TRUE(refused("{{ " + conditionals + "1 }}"));
  EXPECT_TRUE(refused(ifs + ends));
  EXPECT_TRUE(refused(std::string(1 << 20, 'x')));
  std::string sum = "{{ 1";
  for (int i = 0; i < 5000; ++i) sum += " + 1";
  EXPECT_EQ(rendered(sum + " }}"), "5001");
}

// As the models' cards write them.
TEST(NamedChatTemplate, WritesTheConversationsOfItsModels) {
  const ordered_json messages = ordered_json::parse(
      R"([{"role": "system", "content": "S"}, {"role": "user", "content": "U"}])");
  const auto written = [&](std::string_view name) {
    return parsed(named_chat_template(name).value(), {"<B>", "</s>", "", ""})
        .render(messages, {.add_generation_prompt = true, .now_unix_s = {}});
  };
  EXPECT_EQ(written("chatml"),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_EQ(written("command-r"),
            "<B><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>S<|END_OF_TURN_TOKEN|>"
            "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>U<|END_OF_TURN_TOKEN|>"
            "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>");
  EXPECT_EQ(written("llama3"),
            "<B><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(written("phi3"), "<|system|>\nS<|end|>\n<|user|>\nU<|end|>\n<|assistant|>\n");
  EXPECT_EQ(written("zephyr"), "<|system|>\nS</s>\n<|user|>\nU</s>\n<|assistant|>\n");
  EXPECT_FALSE(named_chat_template("gpt2").has_value());
  for (const std::string& name : chat_template_names()) {
    EXPECT_TRUE(named_chat_template(name).has_value()) << name;
  }
}

TEST(ChatTemplate, RefusesMessagesThatAreNone) {
  EXPECT_THROW(parsed("x").render(ordered_json::parse("{}")), Error);
  EXPECT_THROW(parsed("x").render(ordered_json::parse("[1]")), Error);
  std::string deep;
  for (int i = 0; i < 500; ++i) deep += "[";
  for (int i = 0; i < 500; ++i) deep += "]";
  EXPECT_THROW(parsed("x").render(ordered_json::parse("[{\"content\": " + deep + "}]")), Error);
}

}  // namespace
}  // namespace yiti
