// A constraint leaves a sampler exactly the tokens with which the text can go on.
#include "inference/grammar/grammar_constraint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "inference/grammar/gbnf.h"
#include "tests/message_of.h"

namespace yiti::testing {
namespace {

constexpr int32_t kEnd = 7;

// a, b, ab, abc, c, é in two tokens, and the end.
Tokenizer small_tokenizer() {
  TokenizerSpec spec;
  spec.tokens = {"a", "b", "ab", "abc", "c", "Ã", "©", "<end>", "<other>"};
  spec.types.assign(7, TokenType::kNormal);
  spec.types.insert(spec.types.end(), {TokenType::kControl, TokenType::kControl});
  spec.pre_tokenizer = "gpt2";
  spec.eos = kEnd;
  return Tokenizer(std::move(spec));
}

std::vector<int32_t> allowed(TokenMatcher& matcher) {
  std::vector<float> logits(12);  // more than the vocabulary: heads may be padded
  matcher.mask(logits);
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isinf(logits[i])) tokens.push_back(static_cast<int32_t>(i));
  }
  return tokens;
}

std::unique_ptr<TokenMatcher> match(const char* grammar) {
  return constrain(parse_gbnf(grammar), small_tokenizer(), {kEnd})->begin();
}

using Tokens = std::vector<int32_t>;

TEST(GrammarConstraint, AllowsTokensThatEndInTheMiddleOfARule) {
  const auto matcher = match("root ::= \"abcab\"");
  EXPECT_EQ(allowed(*matcher), (Tokens{0, 2, 3}));
  matcher->accept(2);
  EXPECT_EQ(allowed(*matcher), (Tokens{4}));
  matcher->accept(4);
  EXPECT_EQ(allowed(*matcher), (Tokens{0, 2}));
  EXPECT_FALSE(matcher->complete());
  matcher->accept(2);
  EXPECT_TRUE(matcher->complete());
  EXPECT_EQ(allowed(*matcher), (Tokens{kEnd}));
}

TEST(GrammarConstraint, TheStopTokenComesOnlyWhereTheTextMayEnd) {
  const auto matcher = match("root ::= \"a\" \"b\"*");
  EXPECT_EQ(allowed(*matcher), (Tokens{0, 2}));
  matcher->accept(0);
  EXPECT_EQ(allowed(*matcher), (Tokens{1, kEnd}));
  EXPECT_FALSE(matcher->complete());
  matcher->accept(kEnd);
  EXPECT_TRUE(matcher->complete());
}

TEST(GrammarConstraint, CharactersMayBeCutBetweenTokens) {
  const auto matcher = match("root ::= [é]");
  EXPECT_EQ(allowed(*matcher), (Tokens{5}));
  matcher->accept(5);
  EXPECT_EQ(allowed(*matcher), (Tokens{6}));
}

TEST(GrammarConstraint, TellsWhenNoTokenGoesOn) {
  const auto matcher = match("root ::= \"z\"");
  EXPECT_NE(message_of([&] { allowed(*matcher); }, Code::kFailedPrecondition).find("no token"),
            std::string::npos);
}

TEST(GrammarConstraint, MatchersOfOneConstraintDoNotMeet) {
  const auto constraint =
      constrain(parse_gbnf("root ::= \"ab\" | \"c\""), small_tokenizer(), {kEnd});
  const auto first = constraint->begin();
  const auto second = constraint->begin();
  first->accept(0);
  EXPECT_EQ(allowed(*first), (Tokens{1}));
  EXPECT_EQ(allowed(*second), (Tokens{0, 2, 4}));
}

TEST(GrammarConstraint, ForgetsStatesWithoutLosingItsPlace) {
  // Each step is a state that was not there before.
  const auto matcher = match("root ::= (\"a\" | \"ab\"){6000} \"c\"");
  for (int i = 0; i < 6000; ++i) {
    ASSERT_EQ(allowed(*matcher).front(), 0) << i;
    matcher->accept(i % 3 == 0 ? 2 : 0);
  }
  EXPECT_EQ(allowed(*matcher), (Tokens{1, 4}));  // the last "a" may still become "ab"
  matcher->accept(4);
  EXPECT_TRUE(matcher->complete());
}

}  // namespace
}  // namespace yiti::testing
