// What the scheduler does with requests that end early, do not fit, or draw at random.
#include "inference/scheduler.h"

#include <chrono>
#include <condition_variable>
#include <future>
#include <list>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "models/lora.h"
#include "ops/attention/key_block.h"
#include "tests/inference/random_adapter.h"
#include "tests/training/fixture.h"

namespace yiti {
namespace {

// A request under way, whose first token the test may hold back.
class Client {
 public:
  explicit Client(bool held = false) : open_(!held) {}

  void submit(Generator& generator, GenerateRequest request) {
    handle_ = generator.submit(
        std::move(request),
        [this](const GeneratedToken&) {
          std::unique_lock lock(mutex_);
          ++tokens_;
          changed_.notify_all();
          changed_.wait(lock, [this] { return open_; });
          return true;
        },
        [this](Result<Generation> result) {
          const std::lock_guard lock(mutex_);
          ended_ = std::chrono::steady_clock::now();
          result_.emplace(std::move(result));
          changed_.notify_all();
        });
  }
  void wait_for_token() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return tokens_ > 0; });
  }
  void release() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void cancel() { handle_->cancel(); }
  /// Of two that have ended.
  bool ended_before(Client& other) { return result() && other.result() && ended_ < other.ended_; }
  Result<Generation> result() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return result_.has_value(); });
    return *result_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_;
  int tokens_ = 0;
  std::optional<Result<Generation>> result_;
  std::chrono::steady_clock::time_point ended_;
  std::shared_ptr<GenerationHandle> handle_;
};

class Scheduler : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_ = load_model(YITI_TEST_DATA "/tiny/llama-gqa-tied", make_cpu_device({.threads = 2}))
                 .value()
                 .model;
  }
  static void TearDownTestSuite() { model_ = nullptr; }

  static BatchScheduler make(int64_t sequences, size_t max_queue = 1024) {
    return BatchScheduler(
        model_, {.session = {.max_tokens = 2048, .max_sequences = sequences, .context_length = 128},
                 .max_queue = max_queue});
  }

  static GenerateRequest request(int64_t max_tokens) {
    GenerateRequest wanted;
    wanted.prompt = {62, 10, 18, 68, 28, 116, 156, 104};
    wanted.max_tokens = max_tokens;
    return wanted;
  }

  static ModelPtr adapted(uint64_t seed, int64_t rank) {
    return random_adapter(model_, {.rank = rank, .seed = seed});
  }

  static std::vector<float> embedding(Generator& generator, EmbedRequest wanted) {
    std::promise<std::vector<float>> promise;
    generator.embed(std::move(wanted),
                    [&](Result<std::vector<float>> got) { promise.set_value(got.value()); });
    return promise.get_future().get();
  }

  static ModelPtr model_;
};

ModelPtr Scheduler::model_;

TEST_F(Scheduler, CancelsARunningRequestAndKeepsItsTokens) {
  BatchScheduler scheduler = make(2);
  Client client(true);
  client.submit(scheduler, request(100));
  client.wait_for_token();
  client.cancel();
  client.release();
  const Generation done = client.result().value();
  EXPECT_EQ(done.finish, Finish::kCancelled);
  EXPECT_EQ(done.tokens.size(), 1u);
}

TEST_F(Scheduler, CancelsAQueuedRequestBeforeItsFirstToken) {
  BatchScheduler scheduler = make(1);
  Client first(true), second;
  first.submit(scheduler, request(5));
  first.wait_for_token();
  second.submit(scheduler, request(5));
  second.cancel();
  first.release();
  EXPECT_EQ(first.result().value().tokens.size(), 5u);
  const Generation done = second.result().value();
  EXPECT_EQ(done.finish, Finish::kCancelled);
  EXPECT_TRUE(done.tokens.empty());
}

TEST_F(Scheduler, ACancelledRequestLeavesFromBehindOneThatDoesNotFit) {
  BatchScheduler scheduler = make(1);
  Client running(true), next, cancelled;
  running.submit(scheduler, request(100));
  running.wait_for_token();
  next.submit(scheduler, request(5));
  cancelled.submit(scheduler, request(5));
  EXPECT_EQ(scheduler.stats().waiting, 2);
  cancelled.cancel();
  running.release();
  EXPECT_EQ(cancelled.result().value().finish, Finish::kCancelled);
  EXPECT_FALSE(running.ended_before(cancelled));
  EXPECT_TRUE(next.result().ok());
}

TEST_F(Scheduler, ClientsThatWaitTakeTurns) {
  BatchScheduler scheduler = make(1);
  std::mutex mutex;
  std::string order;
  const auto submit = [&](const std::string& client) {
    GenerateRequest wanted = request(1);
    wanted.client = client;
    scheduler.submit(
        wanted, [](const GeneratedToken&) { return true; },
        [&, client](const Result<Generation>&) {
          const std::lock_guard lock(mutex);
          order += client;
        });
  };
  Client running(true);
  running.submit(scheduler, request(1));
  running.wait_for_token();
  for (const char* client : {"a", "a", "a", "b", "c", "b"}) submit(client);
  running.release();
  Client last;
  GenerateRequest wanted = request(1);
  wanted.client = "a";
  last.submit(scheduler, wanted);
  EXPECT_TRUE(last.result().ok());
  const std::lock_guard lock(mutex);
  EXPECT_EQ(order, "abcaba");
}

TEST_F(Scheduler, ALongPromptDoesNotKeepAShortOneWaiting) {
  BatchScheduler scheduler(
      model_,
      {.session = {
           .max_tokens = 4096, .max_sequences = 4, .max_batch_tokens = 8, .context_length = 1024}});
  Client blocker(true), with_long, with_short;
  blocker.submit(scheduler, request(2));
  blocker.wait_for_token();
  GenerateRequest wanted = request(1);
  for (int i = 0; i < 900; ++i) wanted.prompt.push_back(i % 160);
  with_long.submit(scheduler, wanted);
  with_short.submit(scheduler, request(1));
  blocker.release();
  const double short_s = with_short.result().value().times.prompt_s;
  EXPECT_LT(short_s, with_long.result().value().times.prompt_s / 2);
}

TEST_F(Scheduler, EmbedsTheSameInAnyCompany) {
  BatchScheduler scheduler(
      model_,
      {.session = {
           .max_tokens = 2048, .max_sequences = 4, .max_batch_tokens = 16, .context_length = 128}});
  const auto embed = [&](Pooling pooling) {
    EmbedRequest wanted;
    for (int i = 0; i < 40; ++i) wanted.tokens.push_back((i * 7) % 160);
    wanted.pooling = pooling;
    return embedding(scheduler, std::move(wanted));
  };
  const std::vector<float> mean = embed(Pooling::kMean), last = embed(Pooling::kLast);
  ASSERT_EQ(static_cast<int64_t>(mean.size()), model_->config().hidden_size);
  EXPECT_NE(mean, last);
  Client other;
  other.submit(scheduler, request(60));
  EXPECT_EQ(embed(Pooling::kMean), mean);
  EXPECT_EQ(embed(Pooling::kLast), last);
  EXPECT_TRUE(other.result().ok());

  // The same as the mean of the session's own hidden states.
  LanguageSession session(model_, {.max_tokens = 128, .max_sequences = 1});
  std::vector<int32_t> tokens;
  for (int i = 0; i < 40; ++i) tokens.push_back((i * 7) % 160);
  const Feed feed{.sequence = session.open(), .tokens = tokens, .hidden = true};
  session.step({&feed, 1});
  double sum = 0;
  for (size_t row = 0; row < 40; ++row) {
    sum += static_cast<double>(session.hidden()[row * mean.size()]);
  }
  EXPECT_FLOAT_EQ(mean[0], static_cast<float>(sum / 40));
  EXPECT_EQ(last[0], session.hidden()[39 * mean.size()]);
}

TEST_F(Scheduler, RefusesToEmbedWhatDoesNotFit) {
  BatchScheduler scheduler = make(1);
  for (const size_t count : {size_t{0}, size_t{129}}) {
    std::optional<Code> code;
    scheduler.embed({.tokens = std::vector<int32_t>(count, 5)},
                    [&](Result<std::vector<float>> got) { code = got.error().code(); });
    EXPECT_EQ(code, Code::kInvalidArgument);
  }
}

TEST_F(Scheduler, TellsWhatItIsDoing) {
  BatchScheduler scheduler = make(2);
  Client running(true);
  running.submit(scheduler, request(5));
  running.wait_for_token();
  const GeneratorStats stats = scheduler.stats();
  EXPECT_EQ(stats.running, 1);
  EXPECT_EQ(stats.slots, 2);
  EXPECT_EQ(stats.kv_tokens, 2048);
  EXPECT_GT(stats.kv_tokens_used, 0);
  EXPECT_EQ(stats.kv_tokens_touched, kKeyBlock);
  EXPECT_GT(stats.kv_token_bytes, 0);
  EXPECT_GT(stats.tensor_bytes, stats.kv_tokens * stats.kv_token_bytes);
  EXPECT_FALSE(stats.store.has_value());
  EXPECT_GT(stats.step_under_way_s, 0);  // held in its callback
  running.release();
  EXPECT_GE(running.result().value().times.decode_s, 0);
}

TEST_F(Scheduler, ATokenCallbackStopsItsRequest) {
  BatchScheduler scheduler = make(1);
  const Generation done =
      scheduler.generate(request(50), [](const GeneratedToken& token) { return token.index < 3; })
          .value();
  EXPECT_EQ(done.finish, Finish::kCancelled);
  EXPECT_EQ(done.tokens.size(), 4u);
}

TEST_F(Scheduler, AnswersEveryRequestWhenItEnds) {
  Client running(true), queued;
  std::thread release;
  {
    BatchScheduler scheduler = make(1);
    running.submit(scheduler, request(100));
    running.wait_for_token();
    queued.submit(scheduler, request(100));
    release = std::thread([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      running.release();
    });
  }
  release.join();
  EXPECT_TRUE(running.result().ok());
  EXPECT_TRUE(queued.result().ok());
}

TEST_F(Scheduler, RefusesAPromptThatFillsTheContext) {
  BatchScheduler scheduler = make(1);
  GenerateRequest wanted = request(10);
  wanted.prompt.assign(128, 7);
  const Result<Generation> refused = scheduler.generate(wanted);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
  wanted.prompt.pop_back();
  const Generation done = scheduler.generate(wanted).value();
  EXPECT_EQ(done.tokens.size(), 1u);
  EXPECT_EQ(done.finish, Finish::kLength);
}

TEST_F(Scheduler, RefusesTokensOutsideTheVocabularyAndEmptyPrompts) {
  BatchScheduler scheduler = make(1);
  for (const std::vector<int32_t>& prompt :
       {std::vector<int32_t>{}, std::vector<int32_t>{-1}, std::vector<int32_t>{160}}) {
    GenerateRequest wanted;
    wanted.prompt = prompt;
    const Result<Generation> refused = scheduler.generate(wanted);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
  }
}

TEST_F(Scheduler, RefusesMoreThanTheQueueHolds) {
  BatchScheduler scheduler = make(1, 1);
  Client running(true), queued, refused;
  running.submit(scheduler, request(5));
  running.wait_for_token();
  queued.submit(scheduler, request(5));
  refused.submit(scheduler, request(5));
  const Result<Generation> result = refused.result();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kResourceExhausted);
  running.release();
  EXPECT_TRUE(running.result().ok());
  EXPECT_TRUE(queued.result().ok());
}

TEST_F(Scheduler, EndsAtAStopTokenAndLeavesItOut) {
  BatchScheduler scheduler = make(1);
  const std::vector<int32_t> whole = scheduler.generate(request(16)).value().tokens;
  GenerateRequest wanted = request(16);
  wanted.stop_tokens = {whole[5]};
  const Generation done = scheduler.generate(wanted).value();
  const auto end = std::find(whole.begin(), whole.end(), whole[5]);
  EXPECT_EQ(done.finish, Finish::kStop);
  EXPECT_EQ(done.tokens, std::vector<int32_t>(whole.begin(), end));
}

TEST_F(Scheduler, GivesLogProbabilitiesOfTheTokensItChose) {
  BatchScheduler scheduler = make(1);
  GenerateRequest wanted = request(8);
  wanted.top_logprobs = 3;
  const auto done = scheduler.generate(wanted, [](const GeneratedToken& token) {
    EXPECT_EQ(token.top.size(), 3u);
    EXPECT_EQ(token.top[0].token, token.token);
    EXPECT_EQ(token.top[0].logprob, token.logprob);
    EXPECT_LE(token.top[1].logprob, token.top[0].logprob);
    EXPECT_LE(token.logprob, 0);
    return true;
  });
  EXPECT_TRUE(done.ok());
}

TEST_F(Scheduler, TellsHowAPromptIsRead) {
  BatchScheduler scheduler(
      model_, {.session = {.max_tokens = 256, .max_batch_tokens = 50, .context_length = 128}});
  const auto progress_of = [&](int32_t first) {
    GenerateRequest wanted = request(1);
    wanted.prompt.assign(100, 3);
    wanted.prompt[0] = first;
    std::vector<PromptProgress> told;
    wanted.on_progress = [&](const PromptProgress& progress) { told.push_back(progress); };
    scheduler.generate(std::move(wanted)).value();
    return told;
  };
  const std::vector<PromptProgress> cold = progress_of(1);
  ASSERT_EQ(cold.size(), 3U);
  for (size_t i = 0; i < cold.size(); ++i) {
    EXPECT_EQ(cold[i].total, 100);
    EXPECT_EQ(cold[i].cached, 0);
    EXPECT_EQ(cold[i].processed, 50 * static_cast<int64_t>(i));
    EXPECT_GE(cold[i].time_s, 0);
  }
  const std::vector<PromptProgress> warm = progress_of(1);
  ASSERT_EQ(warm.size(), 2U);
  EXPECT_EQ(warm[0].cached, 64);
  EXPECT_EQ(warm[0].processed, 64);
  EXPECT_EQ(warm[1].processed, 100);
}

TEST_F(Scheduler, ASeedGivesTheSameTextInAnyBatch) {
  BatchScheduler scheduler = make(8);
  const auto sampled = [](uint64_t seed) {
    GenerateRequest wanted = request(60);
    wanted.prompt.push_back(static_cast<int32_t>(seed));
    wanted.sampling = {.temperature = 1.5, .top_p = 0.95, .seed = seed};
    return wanted;
  };
  std::vector<std::vector<int32_t>> alone;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    alone.push_back(scheduler.generate(sampled(seed)).value().tokens);
  }
  std::vector<std::unique_ptr<Client>> clients;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    clients.push_back(std::make_unique<Client>());
    clients.back()->submit(scheduler, sampled(seed));
  }
  for (size_t seed = 0; seed < 12; ++seed) {
    EXPECT_EQ(clients[seed]->result().value().tokens, alone[seed]) << seed;
    EXPECT_NE(alone[seed], alone[(seed + 1) % 12]);
  }
}

// Two adapters on one base: their requests, the base's and an older version's run together.
TEST_F(Scheduler, ServesSeveralModelsOverOneBase) {
  const auto alone = [&](const ModelPtr& model) {
    BatchScheduler scheduler(model, {.session = {.max_tokens = 2048, .context_length = 128}});
    return scheduler.generate(request(24)).value().tokens;
  };
  const std::vector<ModelPtr> models = {adapted(1, 4), adapted(2, 4), adapted(3, 2)};
  BatchScheduler scheduler = make(8);
  std::vector<std::shared_ptr<Generator>> generators;
  for (const ModelPtr& model : models) generators.push_back(scheduler.add_model(model));
  std::list<Client> clients;
  clients.emplace_back().submit(scheduler, request(24));
  for (const auto& generator : generators) clients.emplace_back().submit(*generator, request(24));
  std::vector<std::vector<int32_t>> together;
  std::set<std::string> fingerprints;
  for (Client& client : clients) {
    const Generation done = client.result().value();
    together.push_back(done.tokens);
    fingerprints.insert(done.fingerprint);
  }
  EXPECT_EQ(together[0], alone(model_));
  for (size_t i = 0; i < models.size(); ++i) EXPECT_EQ(together[i + 1], alone(models[i])) << i;
  EXPECT_EQ(fingerprints.size(), 4U);
  EXPECT_EQ(scheduler.session().cache().free_blocks(), scheduler.session().cache().blocks());
}

TEST_F(Scheduler, EmbedsWithEachModelAsWithItAlone) {
  const EmbedRequest text = {.tokens = {62, 10, 18, 68, 28}};
  const std::vector<ModelPtr> models = {adapted(1, 4), adapted(2, 2)};
  BatchScheduler scheduler = make(4);
  std::set<std::vector<float>> all = {embedding(scheduler, text)};
  for (const ModelPtr& model : models) {
    BatchScheduler alone(model, {.session = {.max_tokens = 2048, .context_length = 128}});
    const std::vector<float> wanted = embedding(alone, text);
    EXPECT_EQ(embedding(*scheduler.add_model(model), text), wanted);
    all.insert(wanted);
  }
  EXPECT_EQ(all.size(), 3U);
}

TEST_F(Scheduler, CountsTheRequestsOfEachModel) {
  BatchScheduler scheduler = make(1);
  const auto added = scheduler.add_model(adapted(1, 4));
  Client running(true), waiting;
  running.submit(*added, request(5));
  running.wait_for_token();
  waiting.submit(scheduler, request(5));
  const GeneratorStats own = scheduler.stats(), other = added->stats();
  EXPECT_EQ(own.running, 0);
  EXPECT_EQ(own.waiting, 1);
  EXPECT_EQ(other.running, 1);
  EXPECT_EQ(other.waiting, 0);
  EXPECT_EQ(own.slots_used, 1);
  EXPECT_EQ(own.kv_tokens_used, other.kv_tokens_used);
  running.release();
  EXPECT_TRUE(running.result().ok() && waiting.result().ok());
  EXPECT_EQ(scheduler.stats().waiting + scheduler.stats().running + added->stats().running, 0);
}

TEST_F(Scheduler, AModelLivesAsLongAsItsRequests) {
  BatchScheduler scheduler = make(2);
  ModelPtr model = with_lora(*model_, {.rank = 4});
  const std::weak_ptr<const LanguageModel> watched = model;
  Client client(true);
  client.submit(*scheduler.add_model(std::move(model)), request(8));
  client.wait_for_token();
  EXPECT_FALSE(watched.expired());
  client.release();
  EXPECT_EQ(client.result().value().tokens.size(), 8U);
  // The scheduler lets go after it has told the client.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!watched.expired() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_TRUE(watched.expired());
}

// Two adapters share steps; the first step after one is gone lets go of its memory.
TEST_F(Scheduler, AModelThatIsGoneLeavesNoMemoryBehind) {
  BatchScheduler scheduler = make(2);
  const auto stays = scheduler.add_model(adapted(1, 4));
  const std::vector<int32_t> wanted = stays->generate(request(8)).value().tokens;
  const int64_t before = scheduler.stats().tensor_bytes;
  {
    const auto goes = scheduler.add_model(adapted(2, 4));
    Client first(true), second;
    first.submit(*stays, request(8));
    first.wait_for_token();
    second.submit(*goes, request(8));
    EXPECT_GT(scheduler.stats().tensor_bytes, before);
    first.release();
    EXPECT_TRUE(first.result().ok() && second.result().ok());
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  do {  // it lets go of a request after it has told the client
    EXPECT_EQ(stays->generate(request(8)).value().tokens, wanted);
  } while (scheduler.stats().tensor_bytes != before && std::chrono::steady_clock::now() < deadline);
  EXPECT_EQ(scheduler.stats().tensor_bytes, before);
}

TEST_F(Scheduler, APinnedVersionStaysWhatItIs) {
  BatchScheduler scheduler = make(2);
  const ModelPtr model = with_lora(*model_, {.rank = 4});
  const auto pinned = scheduler.add_model(model, model->store()->current());
  model->store()->publish({});
  EXPECT_EQ(pinned->generate(request(4)).value().version, 0U);
  EXPECT_EQ(scheduler.add_model(model)->generate(request(4)).value().version, 1U);
}

TEST_F(Scheduler, RefusesAModelOfAnotherShape) {
  BatchScheduler scheduler = make(2);
  const ModelPtr other =
      load_model(YITI_TEST_DATA "/tiny/qwen3-qknorm", make_cpu_device({.threads = 1}))
          .value()
          .model;
  EXPECT_THROW(scheduler.add_model(other), Error);
}

}  // namespace
}  // namespace yiti
