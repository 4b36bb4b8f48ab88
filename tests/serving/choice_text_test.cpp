#include "serving/choice_text.h"

#include <gtest/gtest.h>

#include "tests/serving/fake_generator.h"

namespace yiti::serving {
namespace {

using yiti::testing::fake_text_model;
using yiti::testing::kImEnd;

class ChoiceTextTest : public ::testing::Test {
 protected:
  ChoiceText make(std::vector<std::string> stop = {}, bool with_logprobs = true) {
    return ChoiceText(0, text_.tokenizer, std::move(stop), {kImEnd}, with_logprobs);
  }
  static GeneratedToken token(int32_t id) {
    return {.token = id, .index = 0, .logprob = -1, .top = {{id, -1}, {999, -2}}};
  }
  static GeneratedToken byte(char c) { return token(static_cast<unsigned char>(c)); }

 private:
  TextModel text_ = fake_text_model();
};

TEST_F(ChoiceTextTest, GivesEachTokensTextAtOnce) {
  ChoiceText choice = make();
  const ReplyChoice delta = choice.push(byte('a'));
  EXPECT_EQ(delta.text, "a");
  ASSERT_EQ(delta.details.size(), 1U);
  EXPECT_EQ(delta.details[0].piece, "a");
  EXPECT_EQ(delta.details[0].top.size(), 1U) << "an id beyond the vocabulary is left out";
  EXPECT_EQ(choice.finish(Finish::kLength).finish_reason, "length");
}

TEST_F(ChoiceTextTest, HoldsBackPartsOfACharacter) {
  ChoiceText choice = make();
  EXPECT_EQ(choice.push(byte('\xc3')).text, "");
  const ReplyChoice delta = choice.push(byte('\xa9'));
  EXPECT_EQ(delta.text, "é");
  EXPECT_EQ(delta.details.size(), 2U);
  EXPECT_EQ(choice.push(byte('x')).details[0].text_offset, 1);
}

TEST_F(ChoiceTextTest, EndsAtAStopString) {
  ChoiceText choice = make({"ST"});
  EXPECT_EQ(choice.push(byte('a')).text, "a");
  EXPECT_EQ(choice.push(byte('S')).text, "");
  EXPECT_EQ(choice.push(byte('T')).text, "");
  EXPECT_TRUE(choice.hit_stop_string());
  const ReplyChoice last = choice.finish(Finish::kCancelled);
  EXPECT_EQ(last.text, "");
  EXPECT_TRUE(last.details.empty());
  EXPECT_EQ(last.finish_reason, "stop");
  EXPECT_EQ(choice.tokens(), 3);
}

TEST_F(ChoiceTextTest, GivesWhatItHeldBackAtTheEnd) {
  ChoiceText choice = make({"STOP"});
  choice.push(byte('S'));
  const ReplyChoice last = choice.finish(Finish::kLength);
  EXPECT_EQ(last.text, "S");
  EXPECT_EQ(last.details.size(), 1U);
  EXPECT_EQ(last.finish_reason, "length");
}

TEST_F(ChoiceTextTest, LeavesTheStopTokenOut) {
  ChoiceText choice = make();
  choice.push(byte('a'));
  EXPECT_EQ(choice.push(token(kImEnd)).text, "");
  const ReplyChoice last = choice.finish(Finish::kStop);
  EXPECT_TRUE(last.details.empty());
  EXPECT_EQ(last.finish_reason, "stop");
  EXPECT_EQ(choice.tokens(), 1);
}

}  // namespace
}  // namespace yiti::serving
