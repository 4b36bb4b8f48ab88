// The datasets that ship with the examples.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string>

#include "training/data/jsonl.h"

namespace yiti {
namespace {

const std::filesystem::path kFolder = YITI_TEST_DATA "/../../examples/data/yiti-qa";

/// Letters, digits and spaces in lower case, so that spelling alone does not make a new question.
std::string plain(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || std::isalnum(byte) || byte == ' ') {
      result += static_cast<char>(std::tolower(byte));
    }
  }
  return result;
}

/// Question to answer of a file whose rows are one question and one answer.
std::map<std::string, std::string> questions(const char* name) {
  std::map<std::string, std::string> pairs;
  for (const DataRow& row : read_jsonl(kFolder / name)) {
    EXPECT_EQ(row.messages.size(), 2u) << name << ":" << row.line;
    const bool fresh =
        pairs.emplace(plain(row.messages[0].content), row.messages[1].content).second;
    EXPECT_TRUE(fresh) << name << ":" << row.line << ": asked twice";
  }
  return pairs;
}

TEST(YitiQa, AsksHeldOutFactsInOtherWords) {
  const auto train = questions("train.jsonl"), held_out = questions("heldout.jsonl");
  EXPECT_EQ(train.size(), 195u);
  EXPECT_EQ(held_out.size(), 37u);
  std::set<std::string> facts;
  for (const auto& [question, answer] : train) facts.insert(answer);
  EXPECT_EQ(facts.size(), 48u);
  for (const auto& [question, answer] : held_out) {
    EXPECT_FALSE(train.contains(question)) << question;
    EXPECT_TRUE(facts.contains(answer)) << answer;
  }
}

}  // namespace
}  // namespace yiti
