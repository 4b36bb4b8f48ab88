// A context of 32K tokens, by a rope that is scaled for it: the same bits however it is reached, in
// no more memory than is said.
#include <cstring>

#include "inference/language_session.h"
#include "tests/training/fixture.h"

namespace yiti {
namespace {

constexpr int64_t kTokens = 32768, kChunk = 512;

class LongContext : public testing::TestWithParam<DType> {
 protected:
  static std::vector<float> last_logits(LanguageSession& session, SequenceId sequence,
                                        std::span<const int32_t> tokens) {
    const auto logits = session.prefill(sequence, tokens);
    return {logits.begin(), logits.end()};
  }

  static bool same_bits(std::span<const float> a, std::span<const float> b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
  }

  // Bytes of K and V of one token.
  int64_t token_bytes() const {
    const ModelConfig& c = model_->config();
    const bool codes = GetParam() == DType::kI8;
    const int64_t head = codes ? c.head_dim + 4 : c.head_dim * info(GetParam()).block_bytes;
    return 2 * c.layers * c.kv_heads * head;
  }

  const DevicePtr device_ = make_cpu_device({.threads = 2});
  const ModelPtr model_ = load_model(YITI_TEST_DATA "/tiny/llama-gqa-tied", device_,
                                     {.kv = GetParam(), .rope = {{"yarn", 256}}})
                              .value()
                              .model;
};

TEST_P(LongContext, HasTheSameBitsColdInChunksFromTheCacheAndInTraining) {
  ASSERT_GE(model_->config().context_length, kTokens);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < kTokens; ++i) {
    tokens.push_back(static_cast<int32_t>((i * i + 31 * i / 7) % model_->config().vocab_size));
  }
  const size_t before = device_->live_bytes();
  device_->reset_peak();
  LanguageSession session(model_, {.max_tokens = kTokens, .max_batch_tokens = kChunk});
  const SequenceId cold = session.open_with_prompt(tokens);
  const std::vector<float> wanted = last_logits(session, cold, tokens);
  EXPECT_EQ(session.length(cold), kTokens);
  session.close(cold);

  const auto peak = static_cast<int64_t>(device_->peak_bytes() - before);
  EXPECT_EQ(session.cache().block_bytes(), kKeyBlock * token_bytes());
  EXPECT_LE(peak, kTokens * token_bytes() + (int64_t{8} << 20)) << "K and V, and a step's arena";

  const SequenceId warm = session.open_with_prompt(tokens);
  EXPECT_EQ(session.length(warm), kTokens - kKeyBlock);
  EXPECT_TRUE(same_bits(last_logits(session, warm, std::span(tokens).last(kKeyBlock)), wanted));
  session.close(warm);

  LanguageSession other(model_, {.max_tokens = kTokens, .max_batch_tokens = 200});
  EXPECT_TRUE(same_bits(last_logits(other, other.open(), tokens), wanted));

  Batch batch;
  batch.tokens = tokens;
  for (int64_t i = 0; i < kTokens; ++i) {
    batch.positions.push_back(static_cast<int32_t>(i));
    batch.labels.push_back(kIgnoredLabel);
  }
  const std::vector<float> trained = training_logits(*model_, batch).to_vector<float>();
  EXPECT_TRUE(same_bits(std::span(trained).last(wanted.size()), wanted));
}

INSTANTIATE_TEST_SUITE_P(KvTypes, LongContext, testing::Values(DType::kF16, DType::kI8),
                         [](const auto& test) { return std::string(name(test.param)); });

}  // namespace
}  // namespace yiti
