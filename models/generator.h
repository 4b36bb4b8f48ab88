// What makes text: the interface that sessions implement, and servers and RL roll-outs use.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"

namespace yiti {

struct TokenBias {
  int32_t token = 0;
  float bias = 0;  ///< is added to the token's logit; -infinity bans it
};

/// How the next token is chosen. The defaults are greedy.
struct Sampling {
  double temperature = 0;  ///< 0: the most likely token
  int64_t top_k = 0;       ///< 0: all
  double top_p = 1;
  double min_p = 0;               ///< relative to the most likely token's probability
  double repetition_penalty = 1;  ///< divides (multiplies negative) logits of tokens seen before
  double frequency_penalty = 0;
  double presence_penalty = 0;
  uint64_t seed = 0;
  std::vector<TokenBias> logit_bias = {};  ///< of one token, they add up
};

/// Which tokens may come next in one generation. One thread at a time.
class TokenMatcher {
 public:
  virtual ~TokenMatcher() = default;
  /// Sets the logits of tokens that may not come next to -infinity. Throws kFailedPrecondition
  /// where none may.
  virtual void mask(std::span<float> logits) = 0;
  /// Goes on behind `token`, which mask() had left.
  virtual void accept(int32_t token) = 0;
  /// Whether the text is whole and nothing can follow.
  virtual bool complete() const = 0;
};

/// A language that generated text must be of, such as a grammar's. Thread-safe.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  virtual std::unique_ptr<TokenMatcher> begin() const = 0;
};

/// How much of a prompt has been read, in tokens.
struct PromptProgress {
  int64_t total = 0;
  int64_t cached = 0;     ///< found in a cache
  int64_t processed = 0;  ///< those included
  double time_s = 0;      ///< since the generation began
};

/// Called when a generation begins and after each step that reads of its prompt.
using OnProgress = std::function<void(const PromptProgress&)>;

struct GenerateRequest {
  std::vector<int32_t> prompt = {};
  int64_t max_tokens = 256;
  Sampling sampling = {};
  std::vector<int32_t> stop_tokens =
      {};                 ///< ends the generation; is reported but not part of the text
  int top_logprobs = -1;  ///< -1: no log-probabilities; n: and the n best tokens
  /// They are those that the token was drawn by: after penalties, biases, the constraint,
  /// temperature, top_k, top_p and min_p. Tokens that could not come are left out.
  bool sampled_logprobs = false;
  std::shared_ptr<const TokenConstraint> constraint = nullptr;  ///< null: any text
  /// Whose request it is: clients that wait take turns.
  std::string client = {};
  /// Requests of different owners take nothing over from each other's caches.
  std::string cache_owner = {};
  /// From the generator's own thread, before the first token; must not block.
  OnProgress on_progress = nullptr;
};

struct TokenLogprob {
  int32_t token;
  float logprob;
};

struct GeneratedToken {
  int32_t token;
  int64_t index;                  ///< 0 for the first generated token
  float logprob;                  ///< log-probability, by default before temperature; else NaN
  std::vector<TokenLogprob> top;  ///< best first
};

enum class Finish : uint8_t { kStop, kLength, kCancelled };

/// Where a generation's time went.
struct GenerationTimes {
  double queue_s = 0;   ///< before it began
  double prompt_s = 0;  ///< until the first token
  double decode_s = 0;  ///< from the first token to the end
};

/// What came of guessing tokens ahead.
struct DraftCounts {
  int64_t drafts = 0;    ///< guesses
  int64_t tokens = 0;    ///< of all guesses
  int64_t accepted = 0;  ///< of those tokens, right ones
};

struct Generation {
  std::vector<int32_t> tokens;  ///< without the stop token
  Finish finish = Finish::kStop;
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  ///< of the prompt, found in a cache
  uint64_t version = 0;       ///< of the parameters it was made with, from first to last token
  std::string fingerprint;    ///< of that version
  GenerationTimes times = {};
  DraftCounts drafts = {};
};

enum class Pooling : uint8_t { kMean, kLast };

/// A text whose embedding is wanted: its last hidden states, pooled over the tokens.
struct EmbedRequest {
  std::vector<int32_t> tokens = {};
  Pooling pooling = Pooling::kMean;
  std::string client = {};
};

/// Blocks of keys and values in a folder, a tier below the cache in memory.
struct BlockStoreStats {
  int64_t blocks = 0, bytes = 0;     ///< in the folder
  int64_t loaded = 0, saved = 0;     ///< blocks, since it was opened
  int64_t damaged = 0, unsaved = 0;  ///< files that were no good; blocks that were not written
};

/// What a generator is doing. Models may share slots, cache and steps.
struct GeneratorStats {
  int64_t running = 0;                        ///< requests of its own
  int64_t waiting = 0;                        ///< requests of its own
  int64_t slots = 0;                          ///< requests that may run at once
  int64_t slots_used = 0;                     ///< requests that do
  int64_t kv_tokens = 0;                      ///< that the cache holds
  int64_t kv_tokens_used = 0;                 ///< that requests have taken
  int64_t kv_tokens_kept = 0;                 ///< that none has, of prompts that may come again
  int64_t kv_tokens_touched = 0;              ///< whose memory was used once, and so is resident
  int64_t kv_token_bytes = 0;                 ///< of one token in the cache
  int64_t tensor_bytes = 0;                   ///< that the device has handed out, for any purpose
  std::optional<BlockStoreStats> store = {};  ///< unset: the cache is in memory only
  double step_under_way_s = 0;                ///< how long; 0: none
};

/// A generation under way. Destroying it does not cancel.
class GenerationHandle {
 public:
  virtual ~GenerationHandle() = default;
  /// Asks it to stop; it then finishes with kCancelled. Thread-safe, idempotent.
  virtual void cancel() = 0;
};

/// Called for each token, in order; false stops the generation (kCancelled).
using OnToken = std::function<bool(const GeneratedToken&)>;
/// Called once, last.
using OnDone = std::function<void(Result<Generation>)>;
/// Called once, with as many numbers as the model's hidden states have; not normalised.
using OnEmbedding = std::function<void(Result<std::vector<float>>)>;

/// Thread-safe.
class Generator {
 public:
  virtual ~Generator() = default;
  /// Queues a request. The callbacks come from the generator's own thread and must not block.
  /// Errors, such as a prompt that is too long, arrive through `done`.
  virtual std::shared_ptr<GenerationHandle> submit(GenerateRequest request, OnToken token,
                                                   OnDone done) = 0;
  /// Queues a text to embed, with the same rules. Without an implementation: kUnimplemented.
  virtual std::shared_ptr<GenerationHandle> embed(EmbedRequest request, OnEmbedding done);
  virtual GeneratorStats stats() const { return {}; }
  /// Submits and waits.
  Result<Generation> generate(GenerateRequest request, OnToken token = nullptr);
  /// Prompt and generated tokens together may be at most this many.
  virtual int64_t context_length() const = 0;
};

}  // namespace yiti
