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
  sampler_ =
      std::make_unique<Sampler>(request.sampling, target.session->vocab_size(), request.prompt,
                                constraint != nullptr ? constraint->begin() : nullptr);
  if (target.version == nullptr) target.version = target.model->store()->current();
  // Embedding needs the hidden states of all tokens.
  const std::span<const int32_t> known = embeds() ? std::span<const int32_t>() : request.prompt;
  sequence =
      target.session->open_with_prompt(known, total_tokens(), target.version, request.cache_owner);
  result_.cached_tokens = target.session->length(sequence);
  fed_ = static_cast<size_t>(result_.cached_tokens);
  waiting_ = false;
  --target.counts->waiting;
  ++target.counts->running;
  result_.version = target.version->number();
  result_.fingerprint = target.version->fingerprint();
  result_.prompt_tokens = static_cast<int64_t>(request.prompt.size());
  begun_ = Clock::now();
}

void BatchScheduler::Job::took_prompt(size_t count, std::span<const float> hidden) {
  fed_ += count;
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

void BatchScheduler::Job::advance(std::span<const float> logits) {
  GeneratedToken event;
  event.token = sampler_->next(logits);
  event.index = static_cast<int64_t>(tokens.size());
  if (event.index == 0) {
    first_token_ = Clock::now();
    at_gate_->answered();
  }
  event.logprob = std::numeric_limits<float>::quiet_NaN();
  if (request.top_logprobs >= 0) {
    event.logprob = log_probabilities(logits, event.token, request.top_logprobs, event.top);
  }
  const auto& stops = request.stop_tokens;
  if (std::find(stops.begin(), stops.end(), event.token) != stops.end()) {
    return finish(Finish::kStop);
  }
  tokens.push_back(event.token);
  if (on_token_ && !on_token_(event)) return finish(Finish::kCancelled);
  if (sampler_->complete()) return finish(Finish::kStop);
  if (static_cast<int64_t>(tokens.size()) == request.max_tokens) finish(Finish::kLength);
}

void BatchScheduler::Job::close() {
  finished_ = true;
  at_gate_.reset();
  if (std::exchange(waiting_, false)) --target.counts->waiting;
  if (sequence.slot >= 0) {
    --target.counts->running;
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
  result_.tokens = std::move(tokens);
  if (on_done_) on_done_(std::move(result_));
}

void BatchScheduler::Job::fail_with(const Error& error) {
  if (finished_) return;
  close();
  if (embeds()) return on_embedding_(error);
  if (on_done_) on_done_(error);
}

}  // namespace yiti
