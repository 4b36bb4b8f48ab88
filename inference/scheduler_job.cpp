#include "inference/scheduler_job.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/error.h"

namespace yiti {
namespace {

double seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

void BatchScheduler::Job::wait(const std::shared_ptr<Gate>& gate) {
  waiting_ = true;
  at_gate_.emplace(gate);
  ++target.counts->waiting;
}

void BatchScheduler::Job::begin() {
  const auto& constraint = request.constraint;
  sampler_ = std::make_unique<Sampler>(request.sampling, target.session->vocab_size(), prompt(),
                                       constraint != nullptr ? constraint->begin() : nullptr);
  if (target.version == nullptr) target.version = target.model->store()->current();
  // Embedding needs the hidden states of all tokens.
  const std::span<const int32_t> known = embeds() ? std::span<const int32_t>() : prompt();
  sequence =
      target.session->open_with_prompt(known, total_tokens(), target.version, request.cache_owner);
  result_.cached_tokens = target.session->length(sequence);
  fed_ = static_cast<size_t>(result_.cached_tokens);
  waiting_ = false;
  --target.counts->waiting;
  ++target.counts->running;
  result_.version = target.version->number();
  result_.fingerprint = target.version->fingerprint();
  result_.prompt_tokens = static_cast<int64_t>(prompt_size_);
  begun_ = Clock::now();
  tell_progress();
}

void BatchScheduler::Job::tell_progress() const {
  if (!request.on_progress) return;
  request.on_progress({.total = result_.prompt_tokens,
                       .cached = result_.cached_tokens,
                       .processed = static_cast<int64_t>(fed_),
                       .time_s = seconds(Clock::now() - begun_)});
}

void BatchScheduler::Job::took_prompt(size_t count, std::span<const float> hidden) {
  fed_ += count;
  tell_progress();
  if (embeds()) pool(hidden, count);
}

// Sums in the order of the tokens: chunks do not change a bit.
void BatchScheduler::Job::pool(std::span<const float> hidden, size_t rows) {
  const size_t width = hidden.size() / rows;
  pooled_.resize(width);
  for (size_t row = pooling_ == Pooling::kMean ? 0 : rows - 1; row < rows; ++row) {
    for (size_t i = 0; i < width; ++i) {
      const double sum = pooling_ == Pooling::kMean ? pooled_[i] : 0;
      pooled_[i] = sum + static_cast<double>(hidden[row * width + i]);
    }
  }
}

DraftRequest BatchScheduler::Job::wanted_draft(int64_t most) {
  // The step itself gives a token more than the draft has.
  const int64_t left = request.max_tokens - static_cast<int64_t>(generated().size()) - 1;
  most = std::min(most, left);
  return {.text = number,
          .tokens = text_,
          .owner = request.cache_owner,
          .wanted = most > 0 ? std::min(pace_.next(), most) : 0};
}

Feed BatchScheduler::Job::decode(std::span<const int32_t> draft) {
  step_.assign(1, text_.back());
  step_.insert(step_.end(), draft.begin(), draft.end());
  return {.sequence = sequence,
          .tokens = step_,
          .all_logits = true,
          .drafted = static_cast<int64_t>(draft.size())};
}

// A draft's logits are those that its tokens would have had one by one, and each token is chosen as
// it would have been. So a draft changes nothing but the number of steps.
void BatchScheduler::Job::advance(const StepLogits& rows) {
  const size_t drafted = step_.empty() ? 0 : step_.size() - 1;
  result_.drafts.drafts += drafted > 0 ? 1 : 0;
  result_.drafts.tokens += static_cast<int64_t>(drafted);
  size_t right = 0;
  for (bool goes_on = true; goes_on;) {
    if (drafted > 0) settled_ = static_cast<int64_t>(text_.size());
    const GeneratedToken next = choose(rows.rows(right, 1));
    goes_on = right < drafted && next.token == step_[right + 1];
    if (goes_on) {
      ++right;
      ++result_.drafts.accepted;
    }
    take(next);
    if (finished_) return;
  }
  if (drafted == 0) return;
  target.session->keep(sequence, std::exchange(settled_, 0));
  pace_.note(static_cast<int64_t>(drafted), static_cast<int64_t>(right));
}

int64_t BatchScheduler::Job::wanted_best() const {
  const bool tells_all = request.top_logprobs >= 0 && !request.sampled_logprobs;
  return tells_all ? 0 : sampler_->wanted_best();
}

GeneratedToken BatchScheduler::Job::choose(const StepLogits& row) {
  GeneratedToken next;
  next.token = sampler_->next(row);
  next.index = static_cast<int64_t>(generated().size());
  if (next.index == 0) {
    first_token_ = Clock::now();
    at_gate_->answered();
  }
  next.logprob = std::numeric_limits<float>::quiet_NaN();
  if (request.top_logprobs >= 0) {
    const int count = request.top_logprobs;
    next.logprob = request.sampled_logprobs
                       ? sampler_->sampled_log_probabilities(next.token, count, next.top)
                       : log_probabilities(row.all, next.token, count, next.top);
  }
  return next;
}

void BatchScheduler::Job::take(const GeneratedToken& token) {
  const auto& stops = request.stop_tokens;
  if (std::find(stops.begin(), stops.end(), token.token) != stops.end()) {
    return finish(Finish::kStop);
  }
  text_.push_back(token.token);
  if (on_token_ && !on_token_(token)) return finish(Finish::kCancelled);
  if (sampler_->complete()) return finish(Finish::kStop);
  if (std::cmp_equal(generated().size(), request.max_tokens)) finish(Finish::kLength);
}

void BatchScheduler::Job::close() {
  finished_ = true;
  at_gate_.reset();
  if (std::exchange(waiting_, false)) --target.counts->waiting;
  if (sequence.slot >= 0) {
    --target.counts->running;
    if (settled_ > 0) target.session->keep(sequence, settled_);
    target.session->close(sequence);
  }
  target = {};
}

void BatchScheduler::Job::finish(Finish finish) {
  if (finished_) return;
  close();
  if (embeds()) {
    if (finish == Finish::kCancelled) {
      return on_embedding_(Error(Code::kCancelled, "embed", "it was cancelled"));
    }
    const double count = pooling_ == Pooling::kMean ? static_cast<double>(fed_) : 1;
    std::vector<float> embedding;
    for (const double sum : pooled_) embedding.push_back(static_cast<float>(sum / count));
    return on_embedding_(std::move(embedding));
  }
  const Clock::time_point now = Clock::now();
  const bool began = sequence.slot >= 0, spoke = first_token_ != Clock::time_point();
  result_.times.queue_s = seconds((began ? begun_ : now) - submitted_);
  if (began) result_.times.prompt_s = seconds((spoke ? first_token_ : now) - begun_);
  if (spoke) result_.times.decode_s = seconds(now - first_token_);
  result_.finish = finish;
  result_.tokens.assign(generated().begin(), generated().end());
  if (on_done_) on_done_(std::move(result_));
}

void BatchScheduler::Job::fail_with(const Error& error) {
  if (finished_) return;
  close();
  if (embeds()) return on_embedding_(error);
  if (on_done_) on_done_(error);
}

}  // namespace yiti
