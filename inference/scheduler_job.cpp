#include "inference/scheduler_job.h"

#include <algorithm>
#include <limits>

#include "core/error.h"

namespace yiti {
namespace {

double seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

void BatchScheduler::Job::begin(LanguageSession& session) {
  const auto& constraint = request.constraint;
  sampler_ = std::make_unique<Sampler>(request.sampling, session.vocab_size(), request.prompt,
                                       constraint != nullptr ? constraint->begin() : nullptr);
  sequence = session.open(total_tokens());
  const VersionPtr& version = session.version(sequence);
  result_.version = version->number();
  result_.fingerprint = version->fingerprint();
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

void BatchScheduler::Job::advance(std::span<const float> logits, LanguageSession& session) {
  GeneratedToken event;
  event.token = sampler_->next(logits);
  event.index = static_cast<int64_t>(tokens.size());
  if (event.index == 0) first_token_ = Clock::now();
  event.logprob = std::numeric_limits<float>::quiet_NaN();
  if (request.top_logprobs >= 0) {
    event.logprob = log_probabilities(logits, event.token, request.top_logprobs, event.top);
  }
  const auto& stops = request.stop_tokens;
  if (std::find(stops.begin(), stops.end(), event.token) != stops.end()) {
    return finish(Finish::kStop, session);
  }
  tokens.push_back(event.token);
  if (on_token_ && !on_token_(event)) return finish(Finish::kCancelled, session);
  if (sampler_->complete()) return finish(Finish::kStop, session);
  if (static_cast<int64_t>(tokens.size()) == request.max_tokens) finish(Finish::kLength, session);
}

void BatchScheduler::Job::close(LanguageSession& session) {
  finished_ = true;
  if (sequence.slot >= 0) session.close(sequence);
}

void BatchScheduler::Job::finish(Finish finish, LanguageSession& session) {
  if (finished_) return;
  close(session);
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

void BatchScheduler::Job::fail_with(const Error& error, LanguageSession& session) {
  if (finished_) return;
  close(session);
  if (embeds()) return on_embedding_(error);
  if (on_done_) on_done_(error);
}

}  // namespace yiti
