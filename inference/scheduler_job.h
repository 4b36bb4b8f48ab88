// One request of a scheduler, from its queue to its end.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "inference/draft_pace.h"
#include "inference/language_session.h"
#include "inference/sampler.h"
#include "inference/scheduler.h"

namespace yiti {

/// A text to continue or to embed. Belongs to the scheduler's thread, but for cancel().
class BatchScheduler::Job final : public GenerationHandle {
 public:
  using Clock = std::chrono::steady_clock;

  Job(Target on, GenerateRequest wanted, OnToken token, OnDone done)
      : target(std::move(on)),
        request(std::move(wanted)),
        text_(std::move(request.prompt)),
        prompt_size_(text_.size()),
        on_token_(std::move(token)),
        on_done_(std::move(done)) {}
  Job(Target on, EmbedRequest wanted, OnEmbedding done)
      : target(std::move(on)),
        text_(std::move(wanted.tokens)),
        prompt_size_(text_.size()),
        pooling_(wanted.pooling),
        on_embedding_(std::move(done)) {
    request.client = std::move(wanted.client);
    request.max_tokens = 0;
  }

  void cancel() override { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }
  bool embeds() const { return on_embedding_ != nullptr; }
  bool finished() const { return finished_; }
  bool prefilling() const { return fed_ < prompt_size_; }
  std::span<const int32_t> prompt() const { return std::span(text_).first(prompt_size_); }
  std::span<const int32_t> prompt_left() const { return prompt().subspan(fed_); }
  /// Generated so far.
  std::span<const int32_t> generated() const { return std::span(text_).subspan(prompt_size_); }
  int64_t total_tokens() const { return static_cast<int64_t>(prompt_size_) + request.max_tokens; }

  /// Counts as waiting from here on, for the gate, too (which may be null).
  void wait(const std::shared_ptr<Gate>& gate);
  /// Pins its version and opens its sequence.
  void begin();
  /// Counts prompt tokens that a step has taken, with their hidden states where it embeds.
  void took_prompt(size_t tokens, std::span<const float> hidden);
  /// What to guess before the next step, of at most `most` tokens.
  DraftRequest wanted_draft(int64_t most);
  /// What a decoding step takes: the last token, and `draft` behind it.
  Feed decode(std::span<const int32_t> draft);
  /// Takes the next token from the row of the last one, and goes on through those of the draft
  /// while it was right; the job may be finished then.
  void advance(const StepLogits& rows);
  /// So many of the best tokens of its rows it looks at; 0: at all logits.
  int64_t wanted_best() const;
  /// Gives the sequence back and tells the end, once.
  void finish(Finish finish);
  void fail_with(const Error& error);

  Target target;  ///< let go at the end: clients may keep the handle for longer
  GenerateRequest request;
  SequenceId sequence;
  uint64_t number = 0;  ///< among those that began

 private:
  GeneratedToken choose(const StepLogits& row);
  void take(const GeneratedToken& token);
  void close();
  void tell_progress() const;
  void pool(std::span<const float> hidden, size_t rows);

  std::vector<int32_t> text_;  // the prompt, then what was generated
  size_t prompt_size_;
  std::vector<int32_t> step_;  // of a decoding step: the last token, then the draft
  DraftPace pace_;
  int64_t settled_ = 0;  // tokens that stay, while a step with a draft is taken; else 0
  Pooling pooling_ = Pooling::kMean;
  OnToken on_token_;
  OnDone on_done_;
  OnEmbedding on_embedding_;
  std::atomic<bool> cancelled_{false};
  bool waiting_ = false;
  std::optional<Gate::Request> at_gate_;
  std::unique_ptr<Sampler> sampler_;
  size_t fed_ = 0;  // tokens of the prompt in the cache
  std::vector<double> pooled_;
  Generation result_;
  Clock::time_point submitted_ = Clock::now(), begun_, first_token_;
  bool finished_ = false;
};

}  // namespace yiti
