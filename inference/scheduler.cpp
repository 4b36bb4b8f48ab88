#include "inference/scheduler.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace yiti {

// One request, from its queue to its end. Only `cancelled` is touched by other threads.
class BatchScheduler::Job final : public GenerationHandle {
 public:
  Job(GenerateRequest wanted, OnToken token, OnDone done)
      : request(std::move(wanted)), on_token(std::move(token)), on_done(std::move(done)) {}
  void cancel() override { cancelled = true; }

  int64_t total_tokens() const {
    return static_cast<int64_t>(request.prompt.size()) + request.max_tokens;
  }
  bool prefilling() const { return fed < request.prompt.size(); }

  GenerateRequest request;
  OnToken on_token;
  OnDone on_done;
  std::atomic<bool> cancelled{false};
  SequenceId sequence;
  std::unique_ptr<Sampler> sampler;
  size_t fed = 0;                  // tokens of the prompt in the cache
  std::span<const int32_t> chunk;  // what the step under way feeds
  Generation result;
  bool finished = false;
};

BatchScheduler::BatchScheduler(ModelPtr model, SchedulerOptions options)
    : options_(std::move(options)), session_(std::move(model), options_.session) {
  thread_ = std::thread([this] { run(); });
}

BatchScheduler::~BatchScheduler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

std::shared_ptr<GenerationHandle> BatchScheduler::submit(GenerateRequest request, OnToken token,
                                                         OnDone done) {
  auto job = std::make_shared<Job>(std::move(request), std::move(token), std::move(done));
  const auto checked = capture_errors("generate", [&] {
    check(!job->request.prompt.empty(), "generate", "the prompt is empty");
    check(job->request.max_tokens > 0, "generate", "max_tokens is {}; wants at least 1",
          job->request.max_tokens);
    check_sampling(job->request.sampling, session_.vocab_size());
    for (int32_t id : job->request.prompt) {
      check(id >= 0 && id < session_.vocab_size(), "generate", "token {}; wants 0 to {}", id,
            session_.vocab_size() - 1);
    }
    const auto prompt = static_cast<int64_t>(job->request.prompt.size());
    check(prompt < context_length(), "generate",
          "the prompt has {} tokens; the context holds {} with at least one generated", prompt,
          context_length());
    job->request.max_tokens = std::min(job->request.max_tokens, context_length() - prompt);
    return true;
  });
  if (!checked.ok()) {
    job->on_done(checked.error());
    return job;
  }
  std::unique_lock lock(mutex_);
  if (stopping_ || queue_.size() >= options_.max_queue) {
    const Error error = stopping_ ? Error(Code::kUnavailable, "generate", "shutting down")
                                  : Error(Code::kResourceExhausted, "generate",
                                          fmt::format("{} requests wait already", queue_.size()));
    lock.unlock();
    job->on_done(error);
    return job;
  }
  queue_.push_back(job);
  lock.unlock();
  wake_.notify_all();
  return job;
}

void BatchScheduler::run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty() || !running_.empty(); });
      if (stopping_) {
        for (const JobPtr& job : queue_) job->cancelled = true;
        for (const JobPtr& job : running_) job->cancelled = true;
        if (queue_.empty() && running_.empty()) return;
      }
    }
    if (options_.gate) options_.gate->enter();
    admit();
    step();
    drop_finished();
    if (options_.gate) options_.gate->leave();
  }
}

// Starts requests in the order of their arrival while there is room for the next one.
void BatchScheduler::admit() {
  while (true) {
    JobPtr job;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty()) return;
      job = queue_.front();
      const bool fits = session_.can_open(job->total_tokens());
      if (!job->cancelled && !fits && !running_.empty()) return;
      queue_.pop_front();
    }
    if (job->cancelled) {
      job->result.finish = Finish::kCancelled;
      finish(*job, job->result);
      continue;
    }
    auto opened = capture_errors("generate", [&] {
      const auto& constraint = job->request.constraint;
      job->sampler = std::make_unique<Sampler>(
          job->request.sampling, session_.vocab_size(), job->request.prompt,
          constraint != nullptr ? constraint->begin() : nullptr);
      return session_.open(job->total_tokens());
    });
    if (!opened) {
      finish(*job, opened.error());
      continue;
    }
    job->sequence = opened.value();
    const VersionPtr& version = session_.version(job->sequence);
    job->result.version = version->number();
    job->result.fingerprint = version->fingerprint();
    job->result.prompt_tokens = static_cast<int64_t>(job->request.prompt.size());
    running_.push_back(std::move(job));
  }
}

void BatchScheduler::step() {
  std::vector<VersionPtr> versions;
  for (const JobPtr& job : running_) {
    if (job->cancelled) {
      job->result.finish = Finish::kCancelled;
      finish(*job, job->result);
      continue;
    }
    const VersionPtr& version = session_.version(job->sequence);
    if (std::find(versions.begin(), versions.end(), version) == versions.end()) {
      versions.push_back(version);
    }
  }
  for (const VersionPtr& version : versions) step_version(version);
}

// One step of all requests on a version: a token for each that decodes, and prompt chunks in what
// is left of the batch.
void BatchScheduler::step_version(const VersionPtr& version) {
  std::vector<Feed> feeds;
  std::vector<Job*> jobs;
  int64_t room = session_.options().max_batch_tokens;
  const auto add = [&](Job& job, std::span<const int32_t> tokens, bool goes_on) {
    job.chunk = tokens;
    feeds.push_back({.sequence = job.sequence, .tokens = tokens, .no_logits = goes_on});
    jobs.push_back(&job);
    room -= static_cast<int64_t>(tokens.size());
  };
  for (const bool prefilling : {false, true}) {
    for (const JobPtr& job : running_) {
      if (job->finished || job->prefilling() != prefilling || room == 0) continue;
      if (session_.version(job->sequence) != version) continue;
      if (!prefilling) {
        add(*job, std::span(job->result.tokens).last(1), false);
        continue;
      }
      const auto left = std::span<const int32_t>(job->request.prompt).subspan(job->fed);
      const auto count = std::min(left.size(), static_cast<size_t>(room));
      add(*job, left.first(count), count < left.size());
    }
  }
  if (feeds.empty()) return;
  auto logits = capture_errors("generate", [&] { return session_.step(feeds); });
  if (!logits) {
    for (Job* job : jobs) finish(*job, logits.error());
    return;
  }
  std::span<const float> rows = logits.value();
  const auto width = static_cast<size_t>(session_.vocab_size());
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (jobs[i]->prefilling()) jobs[i]->fed += jobs[i]->chunk.size();
    if (feeds[i].no_logits) continue;
    advance(*jobs[i], rows.first(width));
    rows = rows.subspan(width);
  }
}

// Takes the next token of a request from its logits.
void BatchScheduler::advance(Job& job, std::span<const float> logits) {
  GeneratedToken event;
  event.token = job.sampler->next(logits);
  event.index = static_cast<int64_t>(job.result.tokens.size());
  event.logprob = std::numeric_limits<float>::quiet_NaN();
  if (job.request.top_logprobs >= 0) {
    event.logprob = log_probabilities(logits, event.token, job.request.top_logprobs, event.top);
  }
  const auto& stops = job.request.stop_tokens;
  const bool stop = std::find(stops.begin(), stops.end(), event.token) != stops.end();
  if (!stop) {
    job.result.tokens.push_back(event.token);
    if (job.on_token && !job.on_token(event)) {
      job.result.finish = Finish::kCancelled;
      return finish(job, job.result);
    }
  }
  if (stop || static_cast<int64_t>(job.result.tokens.size()) == job.request.max_tokens) {
    job.result.finish = stop ? Finish::kStop : Finish::kLength;
    finish(job, job.result);
  }
}

void BatchScheduler::finish(Job& job, Result<Generation> result) {
  if (job.finished) return;
  job.finished = true;
  if (job.sequence.slot >= 0) session_.close(job.sequence);
  if (job.on_done) job.on_done(std::move(result));
}

void BatchScheduler::drop_finished() {
  running_.remove_if([](const JobPtr& job) { return job->finished; });
}

}  // namespace yiti
