#include "inference/block_index.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "inference/language_session.h"
#include "models/loader.h"

namespace yiti {
namespace {

std::vector<int32_t> tokens_from(int32_t first) {
  std::vector<int32_t> tokens(kKeyBlock);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

BlockKey key_from(int32_t first) { return block_key({}, tokens_from(first)); }

// A block of this key, used once.
int32_t filled(BlockIndex& index, const BlockKey& key) {
  const int32_t block = index.take();
  index.remember(block, key);
  return block;
}

TEST(BlockKey, IsOfAllTokensAndWhatCameBefore) {
  const BlockKey key = key_from(0);
  EXPECT_EQ(key, key_from(0));
  EXPECT_FALSE(key == key_from(1));
  EXPECT_FALSE(key == block_key(key, tokens_from(0)));
  std::vector<int32_t> other = tokens_from(0);
  ++other.back();
  EXPECT_FALSE(key == block_key({}, other));
}

TEST(BlockIndex, FindsABlockByItsKey) {
  BlockIndex index(4);
  const int32_t block = filled(index, key_from(0));
  EXPECT_EQ(index.find(key_from(0)), block);
  EXPECT_EQ(index.find(key_from(1)), -1);
}

TEST(BlockIndex, KeepsABlockWhileAnyoneUsesIt) {
  BlockIndex index(2);
  const int32_t block = filled(index, key_from(0));
  ASSERT_EQ(index.find(key_from(0)), block);
  index.release(block);
  EXPECT_EQ(index.unused(), 1);
  EXPECT_NE(index.take(), block);
  EXPECT_EQ(index.take(), -1);
  index.release(block);
  EXPECT_EQ(index.unused(), 1);
  EXPECT_EQ(index.remembered(), 1);
}

TEST(BlockIndex, GivesAwayWhatWasNotUsedForLongest) {
  BlockIndex index(3);
  const int32_t a = filled(index, key_from(0));
  const int32_t b = filled(index, key_from(100));
  const int32_t c = filled(index, key_from(200));
  for (const int32_t block : {a, b, c}) index.release(block);
  index.release(index.find(key_from(0)));
  EXPECT_EQ(index.take(), b);
  EXPECT_EQ(index.take(), c);
  EXPECT_EQ(index.find(key_from(100)), -1);
  EXPECT_EQ(index.find(key_from(0)), a);
}

TEST(BlockIndex, PrefersBlocksThatHoldNothing) {
  BlockIndex index(2);
  const int32_t block = filled(index, key_from(0));
  const int32_t empty = index.take();
  index.release(block);
  index.release(empty);
  EXPECT_EQ(index.take(), empty);
  EXPECT_EQ(index.find(key_from(0)), block);
}

TEST(BlockIndex, TakesOneOfTwoBlocksWithTheSameContents) {
  BlockIndex index(2);
  const int32_t first = filled(index, key_from(0));
  const int32_t second = filled(index, key_from(0));
  EXPECT_EQ(index.find(key_from(0)), first);
  index.release(second);
  EXPECT_EQ(index.remembered(), 0);
}

class PrefixCache : public testing::Test {
 protected:
  static constexpr int64_t kTokens = 4 * kKeyBlock;

  LanguageSession session(int64_t max_tokens, bool cached = true) const {
    return LanguageSession(model_, {.max_tokens = max_tokens, .prefix_cache = cached});
  }
  // Runs a prompt through a session, and says how much of it the cache held.
  static int64_t run(LanguageSession& session, const std::vector<int32_t>& prompt,
                     std::string_view owner = {}) {
    const SequenceId sequence = session.open_with_prompt(prompt, kTokens, nullptr, owner);
    const int64_t held = session.length(sequence);
    session.prefill(sequence, std::span(prompt).subspan(static_cast<size_t>(held)));
    session.close(sequence);
    return held;
  }

  const ModelPtr model_ =
      load_model(YITI_TEST_DATA "/tiny/llama-gqa-tied", make_cpu_device({.threads = 1}))
          .value()
          .model;
  const std::vector<int32_t> prompt_ = std::vector<int32_t>(200, 7);
};

TEST_F(PrefixCache, HoldsWholeBlocksButNeverTheLastToken) {
  LanguageSession session = this->session(1024);
  EXPECT_EQ(run(session, prompt_), 0);
  EXPECT_EQ(run(session, prompt_), 192);
  EXPECT_EQ(run(session, std::vector<int32_t>(128, 7)), 64);
  EXPECT_EQ(run(session, std::vector<int32_t>(129, 7)), 128);
  EXPECT_EQ(run(session, std::vector<int32_t>(129, 8)), 0);
}

TEST_F(PrefixCache, IsAnotherOneForEachOwner) {
  LanguageSession session = this->session(1024);
  run(session, prompt_, "a");
  EXPECT_EQ(run(session, prompt_, "b"), 0);
  EXPECT_EQ(run(session, prompt_), 0);
  for (const char* owner : {"a", "b", ""}) EXPECT_EQ(run(session, prompt_, owner), 192) << owner;
}

TEST_F(PrefixCache, CanBeSwitchedOff) {
  LanguageSession session = this->session(1024, false);
  EXPECT_EQ(run(session, prompt_), 0);
  EXPECT_EQ(run(session, prompt_), 0);
}

TEST_F(PrefixCache, IsAnotherOneForEachVersion) {
  LanguageSession session = this->session(1024);
  run(session, prompt_);
  const Parameter norm = model_->store()->at("model.norm.weight");
  model_->store()->publish({{norm, (*model_->store()->current())[norm].copy()}});
  EXPECT_EQ(run(session, prompt_), 192) << "the same contents again";
  const Tensor changed = (*model_->store()->current())[norm].copy();
  changed.data<float>()[0] += 1;
  model_->store()->publish({{norm, changed}});
  EXPECT_EQ(run(session, prompt_), 0);
}

TEST_F(PrefixCache, IsAnotherOneForAnotherRope) {
  const auto cache =
      std::make_shared<KvCache>(model_->config(), model_->profile().kv, 16, model_->device());
  for (const double factor : {2, 4}) {
    const ModelPtr stretched = make_model(with_rope_scaling(model_->config(), "linear", factor),
                                          model_->store(), model_->profile());
    LanguageSession session(stretched, {.max_tokens = 1024}, cache);
    EXPECT_EQ(run(session, prompt_), 0);
    EXPECT_EQ(run(session, prompt_), 192);
  }
}

TEST_F(PrefixCache, NeverKeepsASequenceFromItsMemory) {
  LanguageSession session = this->session(kTokens);
  run(session, prompt_);
  EXPECT_TRUE(session.can_open(kTokens));
  EXPECT_EQ(run(session, std::vector<int32_t>(200, 9)), 0);
  EXPECT_EQ(run(session, prompt_), 0) << "its blocks were needed";
}

TEST_F(PrefixCache, TakesNothingOverWhereTheRestDoesNotFit) {
  LanguageSession session = this->session(kTokens);
  run(session, prompt_);
  const SequenceId other = session.open(kKeyBlock);
  EXPECT_THROW(session.open_with_prompt(prompt_, kTokens), Error);
  session.close(other);
  EXPECT_EQ(session.cache().free_blocks(), 4);
}

}  // namespace
}  // namespace yiti
