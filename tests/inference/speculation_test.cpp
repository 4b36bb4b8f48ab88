// Guessing tokens ahead changes the number of steps and nothing else.
#include <future>
#include <list>
#include <map>

#include "inference/draft_model.h"
#include "inference/draft_pace.h"
#include "inference/prompt_lookup.h"
#include "inference/scheduler.h"
#include "models/lora.h"
#include "tests/inference/random_adapter.h"
#include "tests/training/fixture.h"

namespace yiti {
namespace {

std::vector<int32_t> look_up(const std::vector<int32_t>& tokens, int64_t wanted) {
  DraftRequest request{.tokens = tokens, .wanted = wanted};
  PromptLookup().draft({&request, 1});
  return request.draft;
}

TEST(PromptLookup, GuessesWhatFollowedTheLongestEqualEnd) {
  EXPECT_EQ(look_up({1, 2, 3, 7, 8, 2, 3, 9, 5, 1, 2, 3}, 2), (std::vector<int32_t>{7, 8}));
}

TEST(PromptLookup, TakesTheLatestOfSeveralPlaces) {
  EXPECT_EQ(look_up({2, 3, 7, 2, 3, 8, 2, 3}, 1), std::vector<int32_t>{8});
}

TEST(PromptLookup, GoesOnRepeatingWhatRepeatsItself) {
  EXPECT_EQ(look_up({4, 5, 6, 4, 5, 6, 4, 5}, 5), (std::vector<int32_t>{6, 4, 5, 6, 4}));
}

TEST(PromptLookup, GuessesNothingFromOneEqualTokenOrNone) {
  EXPECT_TRUE(look_up({1, 2, 3, 4, 3}, 4).empty());
  EXPECT_TRUE(look_up({1, 2, 3, 4}, 4).empty());
  EXPECT_TRUE(look_up({1}, 4).empty());
}

TEST(DraftPace, GuessesMoreWhileGuessesAreRight) {
  DraftPace pace;
  const int64_t first = pace.next();
  pace.note(first, first);
  EXPECT_EQ(pace.next(), 2 * first);
  pace.note(2 * first, 1);
  EXPECT_EQ(pace.next(), first);
}

TEST(DraftPace, PausesLongerAndLongerWhileAllIsWrong) {
  DraftPace pace;
  int64_t guessed = 0;
  for (int turn = 0; turn < 200; ++turn) {
    const int64_t length = pace.next();
    guessed += length;
    if (length > 0) pace.note(length, 0);
  }
  EXPECT_LE(guessed, 20);
  EXPECT_GE(guessed, 8);
}

// Guesses what a table says, by the text's length.
class Scripted final : public Drafter {
 public:
  explicit Scripted(std::function<std::vector<int32_t>(std::span<const int32_t>)> guess)
      : guess_(std::move(guess)) {}
  void draft(std::span<DraftRequest> requests) override {
    for (DraftRequest& request : requests) {
      request.draft = guess_(request.tokens);
      request.draft.resize(std::min(request.draft.size(), static_cast<size_t>(request.wanted)));
    }
  }

 private:
  std::function<std::vector<int32_t>(std::span<const int32_t>)> guess_;
};

// Lets a token follow only where their sum is not divisible by three.
class NoThirds final : public TokenConstraint {
 public:
  std::unique_ptr<TokenMatcher> begin() const override { return std::make_unique<Matcher>(); }

 private:
  class Matcher final : public TokenMatcher {
   public:
    void mask(std::span<float> logits) override {
      for (size_t token = 0; token < logits.size(); ++token) {
        if ((token + last_) % 3 == 0) logits[token] = -std::numeric_limits<float>::infinity();
      }
    }
    void accept(int32_t token) override { last_ = static_cast<size_t>(token); }
    bool complete() const override { return last_ == 150; }

   private:
    size_t last_ = 1;
  };
};

struct Reply {
  std::vector<GeneratedToken> events;
  Generation generation;
};

void expect_same(const Reply& got, const Reply& wanted) {
  EXPECT_EQ(got.generation.tokens, wanted.generation.tokens);
  EXPECT_EQ(got.generation.finish, wanted.generation.finish);
  ASSERT_EQ(got.events.size(), wanted.events.size());
  const auto bits = [](float x) { return std::bit_cast<uint32_t>(x); };
  for (size_t i = 0; i < got.events.size(); ++i) {
    const GeneratedToken &a = got.events[i], &b = wanted.events[i];
    EXPECT_EQ(a.token, b.token);
    EXPECT_EQ(a.index, b.index);
    EXPECT_EQ(bits(a.logprob), bits(b.logprob));
    ASSERT_EQ(a.top.size(), b.top.size());
    for (size_t k = 0; k < a.top.size(); ++k) {
      EXPECT_EQ(a.top[k].token, b.top[k].token);
      EXPECT_EQ(bits(a.top[k].logprob), bits(b.top[k].logprob));
    }
  }
}

class Speculation : public testing::Test {
 protected:
  static constexpr int64_t kContext = 192;

  SchedulerOptions options(std::shared_ptr<Drafter> drafter) const {
    return {.session = session_, .drafter = std::move(drafter), .draft_rows = 40};
  }

  std::shared_ptr<Drafter> by_model(const ModelPtr& model) const {
    return std::make_shared<DraftModel>(model, 160, session_);
  }

  // Runs all requests at once.
  static std::vector<Reply> run(Generator& generator,
                                const std::vector<GenerateRequest>& requests) {
    std::list<Reply> replies;
    std::list<std::promise<void>> done;
    for (const GenerateRequest& request : requests) {
      Reply& reply = replies.emplace_back();
      std::promise<void>& end = done.emplace_back();
      generator.submit(
          request,
          [&reply](const GeneratedToken& token) {
            reply.events.push_back(token);
            return true;
          },
          [&reply, &end](Result<Generation> result) {
            reply.generation = result.value();
            end.set_value();
          });
    }
    for (std::promise<void>& end : done) end.get_future().wait();
    return {replies.begin(), replies.end()};
  }

  static GenerateRequest request(Sampling sampling, int64_t max_tokens = 100) {
    GenerateRequest wanted;
    wanted.prompt = {62, 10, 18, 68, 28, 116, 156, 104, 62, 10, 18};
    wanted.prompt.push_back(static_cast<int32_t>(sampling.seed));
    wanted.max_tokens = max_tokens;
    wanted.sampling = std::move(sampling);
    wanted.top_logprobs = 3;
    return wanted;
  }

  static std::vector<GenerateRequest> all_kinds() {
    std::vector<GenerateRequest> all;
    all.push_back(request({}));
    all.push_back(request({.repetition_penalty = 1.3, .frequency_penalty = 0.4}));
    all.push_back(request({.temperature = 0.3, .seed = 1}));
    all.push_back(request({.temperature = 0.9, .top_k = 20, .top_p = 0.9, .seed = 2}));
    all.push_back(request({.temperature = 0.6, .min_p = 0.1, .presence_penalty = 0.5, .seed = 3}));
    all.push_back(request({.logit_bias = {{104, 3}, {62, -4}}}));
    all.push_back(request({.temperature = 0.4, .seed = 4}));
    all.back().constraint = std::make_shared<NoThirds>();
    all.push_back(request({}));
    all.back().constraint = std::make_shared<NoThirds>();
    all.push_back(request({.temperature = 0.2, .seed = 5}, 1));
    all.push_back(request({.temperature = 0.2, .seed = 6}, 1000));  // to the context's end
    return all;
  }

  // All kinds of requests, alone and together, give what they give without a drafter.
  static void expect_unchanged(const ModelPtr& model, const SchedulerOptions& with) {
    SchedulerOptions without = with;
    without.drafter = nullptr;
    BatchScheduler plain(model, without), drafted(model, with);
    const std::vector<GenerateRequest> requests = all_kinds();
    const std::vector<Reply> wanted = run(plain, requests), together = run(drafted, requests);
    for (size_t i = 0; i < requests.size(); ++i) {
      SCOPED_TRACE(i);
      expect_same(together[i], wanted[i]);
      expect_same(run(drafted, {requests[i]})[0], wanted[i]);
    }
    const KvCache& cache = drafted.session().cache();
    EXPECT_EQ(cache.free_blocks(), cache.blocks());
  }

  const ModelPtr model_ =
      load_model(YITI_TEST_DATA "/tiny/llama-gqa-tied", make_cpu_device({.threads = 2}))
          .value()
          .model;
  const LanguageSessionOptions session_ = {
      .max_tokens = 4096, .max_sequences = 10, .context_length = kContext};
};

TEST_F(Speculation, ByLookUpChangesNoBit) {
  expect_unchanged(model_, options(std::make_shared<PromptLookup>()));
}

TEST_F(Speculation, ByTheModelItselfChangesNoBit) {
  expect_unchanged(model_, options(by_model(model_)));
}

TEST_F(Speculation, ByAnotherModelChangesNoBit) {
  expect_unchanged(model_, options(by_model(random_adapter(model_, {.rank = 4, .seed = 3}))));
}

TEST_F(Speculation, UnderAnAdapterChangesNoBit) {
  const ModelPtr tuned = random_adapter(model_, {.rank = 4, .seed = 8});
  expect_unchanged(tuned, options(by_model(model_)));
  expect_unchanged(tuned, options(std::make_shared<PromptLookup>()));
}

TEST_F(Speculation, OfNothingButWrongTokensChangesNoBit) {
  expect_unchanged(model_, options(std::make_shared<Scripted>([](std::span<const int32_t> tokens) {
                     return std::vector<int32_t>(5, (tokens.back() + 1) % 160);
                   })));
}

TEST_F(Speculation, SavesStepsWhereGuessesAreRight) {
  BatchScheduler scheduler(model_, options(by_model(model_)));
  const Generation done = scheduler.generate(request({}, 65)).value();
  EXPECT_EQ(done.tokens.size(), 65U);
  EXPECT_EQ(done.drafts.accepted, done.drafts.tokens);
  EXPECT_EQ(done.drafts.accepted + done.drafts.drafts, 64);
  EXPECT_LE(done.drafts.drafts, 6);
}

TEST_F(Speculation, StopsWhereItWouldWithoutADraft) {
  BatchScheduler plain(model_, options(nullptr)), drafted(model_, options(by_model(model_)));
  const std::vector<int32_t> whole = plain.generate(request({})).value().tokens;
  for (const size_t stop : {size_t{0}, size_t{5}, size_t{20}}) {
    GenerateRequest wanted = request({});
    wanted.stop_tokens = {whole[stop]};
    expect_same(run(drafted, {wanted})[0], run(plain, {wanted})[0]);
  }
}

TEST_F(Speculation, ACallbackEndsARequestInTheMiddleOfADraft) {
  BatchScheduler scheduler(model_, options(by_model(model_)));
  const Generation done =
      scheduler.generate(request({}), [](const GeneratedToken& token) { return token.index < 7; })
          .value();
  EXPECT_EQ(done.finish, Finish::kCancelled);
  EXPECT_EQ(done.tokens.size(), 8U);
}

TEST_F(Speculation, LeavesACacheThatLaterRequestsMayUse) {
  BatchScheduler plain(model_, options(nullptr));
  BatchScheduler drafted(model_, options(std::make_shared<Scripted>([&](auto tokens) {
                           // Two right tokens, then wrong ones, across a block's end.
                           return std::vector<int32_t>{tokens[tokens.size() - 2], 3, 5, 7, 9, 11};
                         })));
  GenerateRequest first = request({.temperature = 0.3}, 120);
  const Reply wanted = run(plain, {first})[0];
  expect_same(run(drafted, {first})[0], wanted);
  GenerateRequest second = first;
  second.prompt.insert(second.prompt.end(), wanted.generation.tokens.begin(),
                       wanted.generation.tokens.end());
  const Reply again = run(drafted, {second})[0];
  expect_same(again, run(plain, {second})[0]);
  EXPECT_EQ(again.generation.cached_tokens, 128);
}

TEST_F(Speculation, RefusesADraftModelOfOtherTokens) {
  EXPECT_THROW(DraftModel(model_, 161, session_), Error);
}

class KeptDrafts : public Speculation {
 protected:
  LanguageSession session() const { return LanguageSession(model_, session_); }

  static std::vector<float> feed(LanguageSession& session, SequenceId sequence,
                                 std::vector<int32_t> tokens, int64_t drafted) {
    const Feed feed{.sequence = sequence, .tokens = tokens, .all_logits = true, .drafted = drafted};
    const auto rows = session.step({&feed, 1});
    return {rows.begin(), rows.end()};
  }
};

TEST_F(KeptDrafts, TakesBackWhatWasNotKept) {
  LanguageSession one = session(), other = session();
  const SequenceId a = one.open(), b = other.open();
  feed(one, a, {1, 2, 3, 40, 50, 60}, 4);
  EXPECT_EQ(one.length(a), 6);
  one.keep(a, 3);
  EXPECT_EQ(one.length(a), 3);
  feed(other, b, {1, 2, 3}, 0);
  EXPECT_EQ(feed(one, a, {4, 5}, 0), feed(other, b, {4, 5}, 0));
}

TEST_F(KeptDrafts, TakesBackNothingElse) {
  LanguageSession session = this->session();
  const SequenceId sequence = session.open();
  feed(session, sequence, {1, 2, 3, 4}, 2);
  EXPECT_THROW(session.keep(sequence, 1), Error);
  EXPECT_THROW(session.keep(sequence, 5), Error);
  EXPECT_THROW(feed(session, sequence, {5}, 2), Error);
  session.keep(sequence, 4);
  EXPECT_THROW(session.keep(sequence, 3), Error);
}

TEST_F(KeptDrafts, SharesABlockOnlyOnceItIsCertain) {
  LanguageSession session = this->session();
  const std::vector<int32_t> guess(70, 7);
  const auto held = [&](const std::vector<int32_t>& prompt) {
    const SequenceId sequence = session.open_with_prompt(prompt);
    const int64_t length = session.length(sequence);
    session.close(sequence);
    return length;
  };
  const SequenceId sequence = session.open();
  feed(session, sequence, guess, 10);
  EXPECT_EQ(held(guess), 0);
  session.keep(sequence, 62);
  std::vector<int32_t> other(guess.begin(), guess.begin() + 62);
  other.insert(other.end(), {8, 9, 10});
  feed(session, sequence, {8, 9}, 0);
  EXPECT_EQ(held(guess), 0);
  EXPECT_EQ(held(other), 64);
}

}  // namespace
}  // namespace yiti
