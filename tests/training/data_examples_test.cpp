#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/text/byte_alphabet.h"
#include "training/data/examples.h"
#include "training/report/example_view.h"

namespace yiti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int32_t kBos = 256, kEos = 257, kTurn = 258;

constexpr std::string_view kTemplate =
    "{% for m in messages %}<t>{{ m['role'][0] }}{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<t>a{% endif %}";

/// A model whose tokens are the bytes and <s>, </s>, <t>.
TextModel byte_model(std::string_view chat_template = kTemplate, bool adds_bos = false) {
  TokenizerSpec spec;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    spec.tokens.push_back(alphabet_from_bytes(std::string_view(&c, 1)));
  }
  spec.types.assign(256, TokenType::kNormal);
  for (const char* special : {"<s>", "</s>", "<t>"}) {
    spec.tokens.push_back(special);
    spec.types.push_back(TokenType::kControl);
  }
  spec.pre_tokenizer = "gpt2";
  spec.bos = kBos;
  spec.eos = kEos;
  if (adds_bos) spec.prefix = {kBos};
  TextModel model{.tokenizer = Tokenizer(std::move(spec)),
                  .chat = std::nullopt,
                  .chat_error = "",
                  .stop_tokens = {kEos},
                  .sampling = {}};
  if (!chat_template.empty()) model.chat = ChatTemplate::parse(chat_template).value();
  return model;
}

DataRow chat_row(std::vector<RowMessage> messages) {
  return {
      .line = 3, .form = RowForm::kChat, .messages = std::move(messages), .prompt = "", .text = ""};
}

DataRow plain_row(RowForm form, std::string prompt, std::string text) {
  return {.line = 3,
          .form = form,
          .messages = {},
          .prompt = std::move(prompt),
          .text = std::move(text)};
}

std::string error_of(const std::vector<DataRow>& rows, const TextModel& model,
                     const ExampleOptions& options = {}) {
  try {
    make_examples(rows, model, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Examples, ChatTrainsTheAssistantAndTheEndOfItsTurn) {
  const Example example =
      make_example(chat_row({{"user", "q", true}, {"assistant", "ok", true}}), byte_model());
  EXPECT_THAT(example.tokens, ElementsAre(kTurn, 'u', 'q', kEos, kTurn, 'a', 'o', 'k', kEos));
  EXPECT_THAT(example.trained, ElementsAre(0, 0, 0, 0, 0, 0, 1, 1, 1));
}

TEST(Examples, ChatLeavesOutMessagesOfWeightZero) {
  const DataRow row =
      chat_row({{"assistant", "x", false}, {"user", "q", true}, {"assistant", "y", true}});
  EXPECT_THAT(make_example(row, byte_model()).trained,
              ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1));
  EXPECT_THAT(make_example(row, byte_model(), true).trained,
              ElementsAre(0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
}

TEST(Examples, CompletionTrainsTheCompletionAndEos) {
  const Example example =
      make_example(plain_row(RowForm::kCompletion, "ab", "c"), byte_model("", true));
  EXPECT_THAT(example.tokens, ElementsAre(kBos, 'a', 'b', 'c', kEos));
  EXPECT_THAT(example.trained, ElementsAre(0, 0, 0, 1, 1));
}

TEST(Examples, TextTrainsEverythingAndEosOnce) {
  const Example example = make_example(plain_row(RowForm::kText, "", "ab</s>"), byte_model(""));
  EXPECT_THAT(example.tokens, ElementsAre('a', 'b', kEos));
  EXPECT_THAT(example.trained, ElementsAre(0, 1, 1));
}

TEST(Examples, CutsLongExamplesAndCountsThem) {
  const std::vector<DataRow> rows = {plain_row(RowForm::kText, "", "abcdef"),
                                     plain_row(RowForm::kCompletion, "abcdef", "g")};
  const ExampleSet set = make_examples(rows, byte_model(""), {.max_tokens = 4});
  EXPECT_EQ(set.examples.size(), 1u);
  EXPECT_EQ(set.truncated, 2);
  EXPECT_EQ(set.skipped, 1);
  EXPECT_EQ(set.tokens, 4);
  EXPECT_EQ(set.trained_tokens, 3);
  ASSERT_EQ(set.notes.size(), 3u);
  EXPECT_THAT(set.notes[0], HasSubstr("2 of 2 examples are longer than 4 tokens"));
  EXPECT_THAT(set.notes[2], HasSubstr("does not learn to stop"));
}

TEST(Examples, RejectsLongExamplesWhereAsked) {
  const std::vector<DataRow> rows = {plain_row(RowForm::kText, "", "abcdef")};
  EXPECT_THAT(error_of(rows, byte_model(""), {.max_tokens = 4, .over_length = OverLength::kReject}),
              HasSubstr("longer than 4 tokens: line 3"));
}

TEST(Examples, RejectsALimitAboveTheContext) {
  EXPECT_THAT(error_of({plain_row(RowForm::kText, "", "a")}, byte_model(""),
                       {.max_tokens = 9, .context_tokens = 8}),
              HasSubstr("wants at most the model's context, 8"));
}

TEST(Examples, RejectsDataOfWhichNothingWouldBeTrained) {
  EXPECT_THAT(
      error_of({plain_row(RowForm::kCompletion, "abcdef", "g")}, byte_model(""), {.max_tokens = 4}),
      HasSubstr("nothing would be trained"));
}

TEST(Examples, RejectsADoubledBos) {
  EXPECT_THAT(error_of({plain_row(RowForm::kText, "", "<s>a")}, byte_model("", true)),
              HasSubstr("BOS is doubled in line 3"));
}

TEST(Examples, RejectsAPadTokenThatIsATrainedEos) {
  const std::vector<DataRow> rows = {plain_row(RowForm::kText, "", "abc")};
  EXPECT_THAT(error_of(rows, byte_model(""), {.pad_token = kEos}),
              HasSubstr("pad_token 257 also ends a text"));
  EXPECT_EQ(error_of(rows, byte_model(""), {.pad_token = kTurn}), "no error");
}

TEST(Examples, ChatNeedsATemplate) {
  EXPECT_THAT(error_of({chat_row({{"assistant", "a", true}})}, byte_model("")),
              HasSubstr("line 3: training data: the model has no chat template"));
}

TEST(ExampleView, MarksWhatIsTrained) {
  const Example example{
      .tokens = {kTurn, 'a', '\n', 'b', 27, kEos}, .trained = {0, 0, 0, 1, 1, 1}, .line = 1};
  const std::string view = view_example(example, byte_model("").tokenizer);
  EXPECT_THAT(view, HasSubstr("Example of line 1: 6 tokens, 3 trained"));
  EXPECT_THAT(view, HasSubstr("<t>|a|↵|\n[b][\\x1b][</s>]\n"));
}

TEST(ExampleView, ColoursAndCountsWhatItLeavesOut) {
  const Example example{.tokens = {'a', 'b', 'c'}, .trained = {0, 1, 1}, .line = 1};
  const std::string view =
      view_example(example, byte_model("").tokenizer, {.colour = true, .max_tokens = 2});
  EXPECT_THAT(view, HasSubstr("\x1b[38;5;245ma\x1b[0m"));
  EXPECT_THAT(view, HasSubstr("and 1 more token"));
}

}  // namespace
}  // namespace yiti
