// One row, one result: a token's logits have the same bits in the training forward, in any prefill,
// in decoding, in any batch and on any number of threads.
#include <cstring>
#include <numeric>
#include <optional>

#include "inference/language_session.h"
#include "models/lora.h"
#include "models/peft.h"
#include "ops/shape/top_k.h"
#include "tests/smollm2.h"
#include "tests/test_device.h"
#include "tests/training/fixture.h"

namespace yiti {
namespace {

struct Case {
  std::string name;
  std::string path;
  std::string adapter;
  int64_t tokens;
  std::optional<DType> kv = {};
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* name :
       {"llama-gqa-tied", "llama3-rope", "mistral-window", "qwen2-bias", "qwen3-qknorm"}) {
    const std::string folder = std::string(YITI_TEST_DATA "/tiny/") + name;
    std::string label(name);
    std::replace(label.begin(), label.end(), '-', '_');
    all.push_back({label, folder, "", 150});
    all.push_back({label + "_lora", folder, folder + "/adapter", 70});
  }
  for (const DType kv : {DType::kF16, DType::kBF16, DType::kI8}) {
    const std::string folder = YITI_TEST_DATA "/tiny/llama-gqa-tied";
    all.push_back({fmt::format("kv_{}", name(kv)), folder, folder + "/adapter", 150, kv});
  }
  all.push_back({"smollm2", smollm2_path(), "", 90});
  all.push_back({"smollm2_kv_i8", smollm2_path(), "", 90, DType::kI8});
  return all;
}

class Parity : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (GetParam().path.empty()) GTEST_SKIP() << "set YITI_SMOLLM2 to the GGUF's path";
    model_ = load(2);
    for (int64_t i = 0; i < GetParam().tokens; ++i) {
      tokens_.push_back(static_cast<int32_t>((i * 37 + 11) % model_->config().vocab_size));
    }
    wanted_ = whole(*model_);
  }

  static ModelPtr load(int threads, Isa isa = choose_isa()) {
    const DevicePtr device = test_device(threads, isa);
    const ModelPtr base = load_model(GetParam().path, device, {.kv = GetParam().kv}).value().model;
    return GetParam().adapter.empty() ? base : load_peft(*base, GetParam().adapter);
  }

  // The next version: its adapter, or without one all its float parameters, a little different.
  static void publish_other_values(const LanguageModel& model, uint64_t seed) {
    std::vector<std::string> names = lora_parameters(*model.store());
    if (names.empty()) names = model.store()->names();
    std::vector<std::pair<Parameter, Tensor>> changes;
    for (const std::string& name : names) {
      const Parameter p = model.store()->at(name);
      const Tensor& old = (*model.store()->current())[p];
      if (old.dtype() != DType::kF32) continue;
      std::vector<float> values = old.to_vector<float>();
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] *= 1 + 0.01F * static_cast<float>((i + 7 * seed) % 11);
      }
      changes.emplace_back(p, Tensor::from(values, old.shape(), old.device()));
    }
    model.store()->publish(changes);
  }

  // Logits of all tokens by the training forward.
  std::vector<float> whole(const LanguageModel& model) const {
    Batch batch;
    batch.tokens = tokens_;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      batch.positions.push_back(static_cast<int32_t>(i));
      batch.labels.push_back(kIgnoredLabel);
    }
    return training_logits(model, batch).to_vector<float>();
  }

  std::span<const float> wanted_row(size_t token) const {
    return std::span(wanted_).subspan(token * vocab(), vocab());
  }
  size_t vocab() const { return static_cast<size_t>(model_->config().vocab_size); }

  static bool same_bits(std::span<const float> a, std::span<const float> b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
  }

  // Feeds the tokens in chunks of the given sizes, over and over, and compares every row.
  void expect_chunked(LanguageSession& session, std::vector<size_t> sizes) const {
    const SequenceId sequence = session.open();
    size_t done = 0;
    for (size_t i = 0; done < tokens_.size(); ++i) {
      const size_t count = std::min(sizes[i % sizes.size()], tokens_.size() - done);
      const Feed feed{.sequence = sequence,
                      .tokens = std::span(tokens_).subspan(done, count),
                      .all_logits = true};
      const std::span<const float> rows = session.step({&feed, 1});
      ASSERT_TRUE(same_bits(rows, std::span(wanted_).subspan(done * vocab(), count * vocab())))
          << "tokens " << done << " to " << done + count;
      done += count;
    }
    session.close(sequence);
  }

  // Decodes `batch` sequences at once, each some tokens ahead of the last, and compares every row.
  void expect_batch(const ModelPtr& model, size_t batch) const {
    constexpr size_t kSteps = 3, kLead = 6;
    const auto limit = static_cast<int64_t>(batch);
    LanguageSession session(model, {.max_tokens = 64 * limit, .max_sequences = limit});
    std::vector<Feed> feeds;
    for (size_t i = 0; i < batch; ++i) {
      feeds.push_back(
          {.sequence = session.open(), .tokens = std::span(tokens_).first(1 + i % kLead)});
    }
    session.step(feeds);
    for (size_t step = 0; step < kSteps; ++step) {
      for (size_t i = 0; i < batch; ++i) {
        feeds[i].tokens = std::span(tokens_).subspan(1 + i % kLead + step, 1);
      }
      const std::span<const float> rows = session.step(feeds);
      for (size_t i = 0; i < batch; ++i) {
        ASSERT_TRUE(same_bits(rows.subspan(i * vocab(), vocab()), wanted_row(1 + i % kLead + step)))
            << "batch " << batch << ", sequence " << i << ", step " << step;
      }
    }
  }

  ModelPtr model_;
  std::vector<int32_t> tokens_;
  std::vector<float> wanted_;
};

TEST_P(Parity, ABeginningFromTheCacheChangesNoBit) {
  LanguageSession session(model_, {.max_tokens = 1024});
  const int64_t held = static_cast<int64_t>(tokens_.size() - 1) / 64 * 64;
  const auto expect_rest = [&](SequenceId sequence) {
    const auto done = static_cast<size_t>(session.length(sequence));
    const Feed feed{
        .sequence = sequence, .tokens = std::span(tokens_).subspan(done), .all_logits = true};
    EXPECT_TRUE(same_bits(session.step({&feed, 1}), std::span(wanted_).subspan(done * vocab())));
  };
  const SequenceId first = session.open_with_prompt(tokens_);
  EXPECT_EQ(session.length(first), 0);
  expect_rest(first);
  const SequenceId beside = session.open_with_prompt(tokens_);
  EXPECT_EQ(session.length(beside), held);
  session.close(first);
  expect_rest(beside);
  session.close(beside);
  const SequenceId after = session.open_with_prompt(tokens_);
  EXPECT_EQ(session.length(after), held);
  expect_rest(after);
}

TEST_P(Parity, WholePrefillEqualsTraining) {
  LanguageSession session(model_, {.max_tokens = 512});
  expect_chunked(session, {tokens_.size()});
}

TEST_P(Parity, ChunkedPrefillEqualsTraining) {
  LanguageSession session(model_, {.max_tokens = 512});
  expect_chunked(session, {1, 7, 33, 2, 64, 8});
}

TEST_P(Parity, DecodingEqualsTraining) {
  LanguageSession session(model_, {.max_tokens = 512});
  expect_chunked(session, {1});
}

TEST_P(Parity, OneThreadEqualsTwo) {
  const ModelPtr single = load(1);
  EXPECT_TRUE(same_bits(whole(*single), wanted_));
  LanguageSession session(single, {.max_tokens = 512});
  expect_chunked(session, {40, 1});
}

TEST_P(Parity, BatchesOfAnySizeEqualTraining) {
  for (const int threads : {1, 2}) {
    const ModelPtr model = load(threads);
    for (const size_t batch : {1, 2, 7, 8, 33, 64}) expect_batch(model, batch);
  }
}

TEST_P(Parity, InstructionSetsAgree) {
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (!is_supported(isa)) continue;
    const ModelPtr model = load(2, isa);
    for (const size_t batch : {1, 7}) expect_batch(model, batch);
  }
}

TEST_P(Parity, TheBestTokensAreThoseOfAllLogits) {
  constexpr size_t kTokens = 5;
  const Device& device = *model_->device();
  const Tensor logits = Tensor::meta({5, 64}, DType::kF32, model_->device());
  const Kernel* own = top_k_op().choose_kernel({&logits, 1}, TopKAttrs{1}, *model_->device());
  for (const int64_t count : {1, 3}) {
    LanguageSession session(model_, {.max_tokens = 512, .prefix_cache = false});
    const Feed feed{.sequence = session.open(),
                    .tokens = std::span(tokens_).first(kTokens),
                    .all_logits = true};
    const int64_t before = counters_of(device).bytes_to_host;
    const StepLogits rows = session.step({&feed, 1}, count);
    if (device.host_accessible() || own == nullptr || own->stands_in) {
      EXPECT_TRUE(same_bits(rows.all, std::span(wanted_).first(kTokens * vocab())));
      continue;
    }
    EXPECT_EQ(counters_of(device).bytes_to_host - before,
              count * static_cast<int64_t>(kTokens * (sizeof(float) + sizeof(int64_t))));
    for (size_t token = 0; token < kTokens; ++token) {
      const std::span<const float> wanted = wanted_row(token);
      std::vector<int32_t> order(vocab());
      std::iota(order.begin(), order.end(), 0);
      std::ranges::stable_sort(order, std::greater<>(),
                               [&](int32_t t) { return wanted[static_cast<size_t>(t)]; });
      const std::span<const TokenLogit> best = rows.rows(token, 1).best;
      for (size_t i = 0; i < best.size(); ++i) {
        EXPECT_EQ(best[i].token, order[i]);
        EXPECT_EQ(best[i].logit, wanted[static_cast<size_t>(order[i])]);
      }
    }
  }
}

TEST_P(Parity, NeighboursInABatchChangeNothing) {
  LanguageSession session(model_, {.max_tokens = 4096, .max_sequences = 8});
  std::vector<SequenceId> others;
  for (int i = 0; i < 7; ++i) others.push_back(session.open());
  const SequenceId ours = session.open();
  const std::vector<int32_t> noise(tokens_.rbegin(), tokens_.rend());
  for (size_t done = 0; done < tokens_.size();) {
    const size_t count = std::min<size_t>(1 + done % 5, tokens_.size() - done);
    std::vector<Feed> feeds;
    for (size_t i = 0; i < others.size(); ++i) {
      const size_t length = 1 + (done + i) % 3;
      feeds.push_back({.sequence = others[i],
                       .tokens = std::span(noise).subspan(i, length),
                       .no_logits = i % 2 == 0});
      if (i == 3) {
        feeds.push_back({.sequence = ours, .tokens = std::span(tokens_).subspan(done, count)});
      }
    }
    const std::span<const float> rows = session.step(feeds);
    ASSERT_TRUE(same_bits(rows.subspan(2 * vocab(), vocab()), wanted_row(done + count - 1)))
        << "token " << done + count - 1;
    done += count;
  }
}

// Versions whose float parameters differ, all of them or those of the adapter only.
TEST_P(Parity, VersionsInOneStepChangeNothing) {
  constexpr size_t kVersions = 3, kPrompt = 20;
  std::vector<VersionPtr> versions = {model_->store()->current()};
  while (versions.size() < kVersions) {
    publish_other_values(*model_, versions.size());
    versions.push_back(model_->store()->current());
  }
  const auto prompt = std::span(tokens_).first(kPrompt);
  std::vector<std::vector<float>> alone;
  for (const VersionPtr& version : versions) {
    LanguageSession session(model_, {.max_tokens = 512, .prefix_cache = false});
    const SequenceId sequence = session.open(0, version);
    const std::span<const float> first = session.prefill(sequence, prompt);
    alone.emplace_back(first.begin(), first.end());
    const std::span<const float> second = session.decode(sequence, tokens_[kPrompt]);
    alone.back().insert(alone.back().end(), second.begin(), second.end());
  }
  EXPECT_NE(alone[0], alone[1]);
  EXPECT_NE(alone[1], alone[2]);

  LanguageSession session(model_, {.max_tokens = 2048, .prefix_cache = false});
  std::vector<Feed> feeds;
  for (const VersionPtr& version : versions) {
    for (int i = 0; i < 2; ++i) {
      feeds.push_back({.sequence = session.open(0, version), .tokens = prompt});
    }
  }
  feeds[3].no_logits = true;  // a part with fewer rows of logits than of tokens
  std::vector<std::vector<float>> together(feeds.size());
  const auto step = [&] {
    std::span<const float> rows = session.step(feeds);
    for (size_t i = 0; i < feeds.size(); ++i) {
      if (feeds[i].no_logits) continue;
      together[i].insert(together[i].end(), rows.begin(),
                         rows.begin() + static_cast<long>(vocab()));
      rows = rows.subspan(vocab());
    }
  };
  step();
  for (Feed& feed : feeds) feed.tokens = std::span(tokens_).subspan(kPrompt, 1);
  step();
  for (size_t i = 0; i < feeds.size(); ++i) {
    if (feeds[i].no_logits) continue;
    EXPECT_TRUE(same_bits(together[i], alone[i / 2])) << "sequence " << i;
  }
}

TEST_P(Parity, PackedDocumentsChangeNothing) {
  Batch batch;
  for (int copy = 0; copy < 3; ++copy) {
    const size_t length = tokens_.size() / static_cast<size_t>(copy + 1);
    for (size_t i = 0; i < length; ++i) {
      batch.tokens.push_back(tokens_[i]);
      batch.positions.push_back(static_cast<int32_t>(i));
      batch.labels.push_back(kIgnoredLabel);
    }
  }
  const std::vector<float> packed = training_logits(*model_, batch).to_vector<float>();
  size_t row = 0;
  for (size_t copy = 0; copy < 3; ++copy) {
    for (size_t i = 0; i < tokens_.size() / (copy + 1); ++i, ++row) {
      ASSERT_TRUE(same_bits(std::span(packed).subspan(row * vocab(), vocab()), wanted_row(i)))
          << "document " << copy << ", token " << i;
    }
  }
}

TEST_P(Parity, NoPassChangesABit) {
  for (const PassOptions& passes : {PassOptions{.fuse = false}, PassOptions{.plan_memory = false},
                                    PassOptions{.strip_gradients = false, .fuse = false}}) {
    LanguageSession session(model_, {.max_tokens = 512, .passes = passes});
    expect_chunked(session, {50, 1, 1});
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Parity, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace yiti
