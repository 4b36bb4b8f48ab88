// Clients that generate while new versions are published: every reply is that of one version.
#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "core/random.h"
#include "inference/scheduler.h"
#include "models/peft.h"
#include "tests/training/fixture.h"

namespace yiti {
namespace {

const std::string kFolder = YITI_TEST_DATA "/tiny/llama-gqa-tied";
constexpr int kClients = 8;
constexpr int kVersions = 20;
constexpr int64_t kTokens = 40;

using Changes = std::vector<std::pair<Parameter, Tensor>>;

// Other values for every tensor of the adapter, so large that greedy text changes.
Changes random_adapter(const LanguageModel& model, uint64_t seed) {
  Changes changes;
  for (const std::string& name : lora_parameters(*model.store())) {
    const Parameter p = model.store()->at(name);
    const Tensor old = (*model.store()->current())[p];
    const Tensor fresh = Tensor::empty(old.shape(), DType::kF32, old.device());
    fill_uniform(fresh, -0.4f, 0.4f, {.seed = seed, .stream = static_cast<uint64_t>(p.index)});
    changes.emplace_back(p, fresh);
  }
  return changes;
}

// Prompts of 3 to 80 tokens: some span several chunks.
std::vector<int32_t> prompt_of(int client, int64_t vocab) {
  std::vector<int32_t> prompt;
  for (int i = 0; i < 3 + client * 11; ++i) {
    prompt.push_back(static_cast<int32_t>((i * 29 + client * 17 + 5) % vocab));
  }
  return prompt;
}

std::vector<int32_t> offline_reply(const ModelPtr& model, const VersionPtr& version,
                                   const std::vector<int32_t>& prompt) {
  LanguageSession session(model, {.max_tokens = 256, .max_sequences = 1});
  const SequenceId sequence = session.open(0, version);
  std::span<const float> logits = session.prefill(sequence, prompt);
  std::vector<int32_t> tokens;
  while (true) {
    const auto best = std::max_element(logits.begin(), logits.end());
    tokens.push_back(static_cast<int32_t>(best - logits.begin()));
    if (static_cast<int64_t>(tokens.size()) == kTokens) return tokens;
    logits = session.decode(sequence, tokens.back());
  }
}

struct Reply {
  Generation generation;
  std::vector<int32_t> streamed;
  bool spans_publish = false;
};

class SwapUnderLoad : public testing::Test {
 protected:
  SwapUnderLoad() {
    base_ = load_model(kFolder, make_cpu_device({.threads = 2})).value().model;
    model_ = adapted();
    for (uint64_t i = 0; i < kVersions; ++i) changes_.push_back(random_adapter(*model_, i));
  }

  ModelPtr adapted() const { return load_peft(*base_, kFolder + "/adapter"); }

  // One request after the other until the publisher is done.
  void run_client(BatchScheduler& scheduler, int client) {
    const std::vector<int32_t> prompt = prompt_of(client, model_->config().vocab_size);
    while (!published_all_) {
      Reply reply;
      GenerateRequest request;
      request.prompt = prompt;
      request.max_tokens = kTokens;
      uint64_t newest = 0;  // when the last token came
      Result<Generation> result = scheduler.generate(request, [&](const GeneratedToken& token) {
        reply.streamed.push_back(token.token);
        newest = published_;
        return true;
      });
      ++finished_;
      if (!result) {
        ADD_FAILURE() << result.error().what();
        return;
      }
      reply.generation = std::move(result.value());
      reply.spans_publish = reply.generation.version < newest;
      replies_[static_cast<size_t>(client)].push_back(std::move(reply));
    }
  }

  // A version for every three replies, so that the others' replies span it. Pins none of them.
  void run_publisher() {
    for (const Changes& changes : changes_) {
      const int64_t enough = finished_ + 3;
      while (finished_ < enough && !HasFailure()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      const VersionPtr version = model_->store()->publish(changes);
      published_ = version->number();
      fingerprints_.push_back(version->fingerprint());
    }
    published_all_ = true;
  }

  ModelPtr base_, model_;
  std::vector<Changes> changes_;
  std::vector<std::string> fingerprints_;
  std::atomic<uint64_t> published_{0};
  std::atomic<int64_t> finished_{0};
  std::atomic<bool> published_all_{false};
  std::vector<Reply> replies_[kClients];
};

TEST_F(SwapUnderLoad, EveryReplyIsThatOfTheVersionItNames) {
  const std::string first = model_->store()->current()->fingerprint();
  {
    BatchScheduler scheduler(
        model_, {.session = {.max_tokens = 2048, .max_sequences = 8, .max_batch_tokens = 48}});
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([&, i] { run_client(scheduler, i); });
    }
    run_publisher();
    for (std::thread& client : clients) client.join();
  }

  // The versions again, one at a time in another store: the same contents, the same fingerprint.
  const ModelPtr again = adapted();
  std::map<std::string, std::vector<std::vector<int32_t>>> wanted;
  const auto answer_all = [&](const VersionPtr& version) {
    for (int i = 0; i < kClients; ++i) {
      wanted[version->fingerprint()].push_back(
          offline_reply(again, version, prompt_of(i, again->config().vocab_size)));
    }
  };
  answer_all(again->store()->current());
  for (size_t i = 0; i < changes_.size(); ++i) {
    const VersionPtr version = again->store()->publish(changes_[i]);
    EXPECT_EQ(version->fingerprint(), fingerprints_[i]);
    answer_all(version);
  }
  for (size_t client = 0; client < kClients; ++client) {
    std::set<std::vector<int32_t>> different;
    for (const auto& [fingerprint, answers] : wanted) different.insert(answers[client]);
    EXPECT_EQ(different.size(), wanted.size()) << "versions of client " << client << " agree";
  }

  std::set<std::string> served;
  int spanning = 0;
  for (size_t client = 0; client < kClients; ++client) {
    for (const Reply& reply : replies_[client]) {
      served.insert(reply.generation.fingerprint);
      spanning += reply.spans_publish ? 1 : 0;
      ASSERT_TRUE(wanted.contains(reply.generation.fingerprint));
      EXPECT_EQ(reply.generation.tokens, wanted[reply.generation.fingerprint][client]);
      EXPECT_EQ(reply.streamed, reply.generation.tokens);
      EXPECT_EQ(reply.generation.finish, Finish::kLength);
    }
  }
  EXPECT_TRUE(served.contains(first));
  EXPECT_GE(served.size(), 5u);
  EXPECT_GE(spanning, 20);
  EXPECT_EQ(model_->store()->live_versions(), 1);
}

}  // namespace
}  // namespace yiti
