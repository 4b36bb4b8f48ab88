#include "models/text/text_stream.h"

#include <gtest/gtest.h>

#include "models/text/utf8.h"
#include "tests/models/text/fixtures.h"

namespace yiti {
namespace {

Tokenizer tokenizer() {
  return Tokenizer(parse_hf_tokenizer(test::read_data("tokenizers/qwen2.json")));
}

// One token a byte, so that pieces cut characters.
std::vector<int32_t> byte_tokens(const Tokenizer& t, std::string_view text) {
  std::vector<int32_t> ids;
  for (const char c : text) ids.push_back(t.find({&c, 1}));
  return ids;
}

TEST(TextStream, GivesWholeCharactersOnly) {
  const Tokenizer t = tokenizer();
  TextStream stream(t);
  std::string all;
  for (const int32_t id : byte_tokens(t, "aé训🙂!")) {
    const std::string piece = stream.push(id);
    EXPECT_EQ(utf8::valid_prefix(piece), piece.size());
    all += piece;
  }
  EXPECT_EQ(all + stream.finish(), "aé训🙂!");
}

TEST(TextStream, ReplacesBytesThatAreNoCharacter) {
  const Tokenizer t = tokenizer();
  TextStream stream(t);
  std::string all;
  for (const int32_t id : byte_tokens(t, "a\xFFz\xE2\x82")) all += stream.push(id);
  EXPECT_EQ(all, "a\xEF\xBF\xBDz");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(TextStream, HoldsBackWhatMayBecomeAStopString) {
  const Tokenizer t = tokenizer();
  TextStream stream(t, {"END", ""});
  std::string all;
  for (const int32_t id : byte_tokens(t, "aEbENc")) all += stream.push(id);
  EXPECT_EQ(all, "aEbENc");
  EXPECT_EQ(stream.push(t.find("E")), "");
  EXPECT_EQ(stream.push(t.find("N")), "");
  EXPECT_FALSE(stream.stopped());
  EXPECT_EQ(stream.push(t.find("D")), "");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.stop_string(), "END");
  EXPECT_EQ(stream.push(t.find("x")), "");
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, StopsAtTheFirstOfSeveralStopStrings) {
  const Tokenizer t = tokenizer();
  TextStream stream(t, {"bc", "ab", "abx"});
  std::string all;
  for (const int32_t id : byte_tokens(t, "zabc")) all += stream.push(id);
  EXPECT_EQ(all, "z");
  EXPECT_EQ(stream.stop_string(), "ab");
}

TEST(TextStream, GivesOutAnUnfinishedStopStringAtTheEnd) {
  const Tokenizer t = tokenizer();
  TextStream stream(t, {"é!"});
  std::string all;
  for (const int32_t id : byte_tokens(t, "xé")) all += stream.push(id);
  EXPECT_EQ(all, "x");
  EXPECT_EQ(stream.finish(), "é");
}

TEST(TextStream, LeavesControlTokensOut) {
  const Tokenizer t = tokenizer();
  TextStream shown(t, {}, false), hidden(t);
  EXPECT_EQ(shown.push(t.find("<|im_end|>")), "<|im_end|>");
  EXPECT_EQ(hidden.push(t.find("<|im_end|>")), "");
  EXPECT_EQ(hidden.push(t.find("<tool>")), "<tool>");
  EXPECT_THROW(hidden.push(1'000'000), Error);
}

TEST(TextStream, EqualsWholeDecodingForEveryCase) {
  const Tokenizer t = tokenizer();
  for (const auto& c : test::read_cases("tokenizers/qwen2.cases.json")) {
    TextStream stream(t);
    std::string all;
    for (const int32_t id : t.encode(c["text"].get<std::string>())) all += stream.push(id);
    EXPECT_EQ(all + stream.finish(), c["decoded"].get<std::string>());
  }
}

}  // namespace
}  // namespace yiti
