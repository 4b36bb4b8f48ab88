// Grammars in GBNF hold the texts that they describe.
#include "inference/grammar/gbnf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/inference/grammar/spells.h"
#include "tests/message_of.h"

namespace yiti::testing {
namespace {

using ::testing::HasSubstr;

TEST(Gbnf, LiteralsSetsAndGroupsSpellTheirTexts) {
  const Grammar grammar = parse_gbnf("root ::= \"a\" [b-d] (\"x\" | [^y\\n])\n");
  EXPECT_TRUE(spells(grammar, "abx"));
  EXPECT_TRUE(spells(grammar, "adé"));
  EXPECT_TRUE(spells(grammar, "ac\xF0\x9F\x99\x82"));
  EXPECT_FALSE(spells(grammar, "aby"));
  EXPECT_FALSE(spells(grammar, "aex"));
  EXPECT_FALSE(spells(grammar, "ab"));
  EXPECT_FALSE(spells(grammar, "abxx"));
}

TEST(Gbnf, RepeatsAsOftenAsItSays) {
  const Grammar grammar = parse_gbnf(R"(root ::= "a"{2,3} "b"* "c"+ "d"? "e"{2} "f"{1,})");
  EXPECT_TRUE(spells(grammar, "aaceef"));
  EXPECT_TRUE(spells(grammar, "aaabbccdeefff"));
  EXPECT_FALSE(spells(grammar, "aceef"));
  EXPECT_FALSE(spells(grammar, "aaaaceef"));
  EXPECT_FALSE(spells(grammar, "aacef"));
  EXPECT_FALSE(spells(grammar, "aacddeef"));
}

TEST(Gbnf, RulesMayNestAndFollowLater) {
  const Grammar grammar = parse_gbnf(
      "# arithmetic\n"
      "root ::= term ([-+*/] term)*\n"
      "term ::= number |\n"
      "  \"(\" root \")\"\n"
      "number ::= [0-9]+\n");
  EXPECT_TRUE(spells(grammar, "1+(23*4)-5"));
  EXPECT_TRUE(spells(grammar, "((((1))))"));
  EXPECT_FALSE(spells(grammar, "((1)"));
}

TEST(Gbnf, EveryCharacterClassHoldsExactlyItsCharacters) {
  const Grammar grammar = parse_gbnf("root ::= [\\u00E9-\\U0001F600]");
  EXPECT_TRUE(spells(grammar, "é"));
  EXPECT_TRUE(spells(grammar, "語"));
  EXPECT_TRUE(spells(grammar, "\xF0\x9F\x98\x80"));
  EXPECT_FALSE(spells(grammar, "\xF0\x9F\x98\x81"));
  EXPECT_FALSE(spells(grammar, "è"));
  EXPECT_FALSE(spells(grammar, "\xED\xA0\x80"));  // a surrogate
}

TEST(Gbnf, NestingBeyondTheDepthIsGivenUp) {
  const Grammar grammar = parse_gbnf("root ::= \"(\" root \")\" | \"x\"\n");
  const auto nested = [](size_t depth) {
    return std::string(depth, '(') + "x" + std::string(depth, ')');
  };
  EXPECT_TRUE(spells(grammar, nested(100)));
  EXPECT_FALSE(spells(grammar, nested(1000)));
}

TEST(Gbnf, RightRecursionNeedsNoDepth) {
  const Grammar grammar = parse_gbnf("root ::= \"x\" root | \"y\"\n");
  EXPECT_TRUE(spells(grammar, std::string(5000, 'x') + "y"));
}

TEST(Gbnf, RefusesWhatIsMalformedWithItsLine) {
  const auto refused = [](std::string_view text) {
    return message_of([&] { parse_gbnf(text); }, Code::kInvalidArgument);
  };
  EXPECT_THAT(refused("root ::= this is (not valid GBNF"), HasSubstr("line 1"));
  EXPECT_THAT(refused("root ::= \"a\"\nroot := x"), HasSubstr("line 2"));
  EXPECT_THAT(refused("root ::= other"), HasSubstr("'other' is not defined"));
  EXPECT_THAT(refused("x ::= \"a\""), HasSubstr("'root' is not defined"));
  EXPECT_THAT(refused("root ::= \"a\"\nroot ::= \"b\""), HasSubstr("defined twice"));
  EXPECT_THAT(refused("root ::= root \"a\" | \"b\""), HasSubstr("begins with itself"));
  EXPECT_THAT(refused("root ::= a root\na ::= \"x\"?"), HasSubstr("begins with itself"));
  EXPECT_THAT(refused("root ::= [b-a]"), HasSubstr("a range that goes up"));
  EXPECT_THAT(refused("root ::= \"\\q\""), HasSubstr("escapes"));
}

TEST(Gbnf, BoundsWhatAStrangersGrammarMayTake) {
  const auto refused = [](const std::string& text, Code code = Code::kResourceExhausted) {
    return message_of([&] { parse_gbnf(text); }, code);
  };
  EXPECT_THAT(refused("root ::= (\"a\"{10000}){10000}"), HasSubstr("larger than"));
  EXPECT_THAT(refused("root ::= ((\"\"{9999}){9999}){9999}"), HasSubstr("repeats"));
  EXPECT_THAT(refused("root ::= " + std::string(100, '(') + "\"a\"" + std::string(100, ')'),
                      Code::kInvalidArgument),
              HasSubstr("groups in each other"));
  EXPECT_THAT(refused("root ::= \"" + std::string(300 << 10, 'a') + "\""), HasSubstr("bytes"));
}

TEST(Gbnf, GivesUpAGrammarThatIsTooAmbiguous) {
  const Grammar grammar = parse_gbnf("root ::= (a a*){1,600}\na ::= \"x\" | \"x\" \"x\"\n");
  EXPECT_THAT(
      message_of([&] { spells(grammar, std::string(2000, 'x')); }, Code::kResourceExhausted),
      HasSubstr("too ambiguous"));
}

}  // namespace
}  // namespace yiti::testing
