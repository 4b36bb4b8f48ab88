#include "inference/scheduler.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "core/error.h"
#include "models/lora.h"

namespace yiti {

// One request, from its queue to its end. Only `cancelled` is touched by other threads.
class BatchScheduler::Job final : public GenerationHandle {
 public:
  Job(Target on, GenerateRequest wanted, OnToken token, OnDone done)
      : target(std::move(on)),
        request(std::move(wanted)),
        on_token(std::move(token)),
        on_done(std::move(done)) {}
  void cancel() override { cancelled = true; }

  int64_t total_tokens() const {
    return static_cast<int64_t>(request.prompt.size()) + request.max_tokens;
  }
  bool prefilling() const { return fed < request.prompt.size(); }

  Target target;  // let go at the end: clients may keep the handle for longer
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
    : options_(std::move(options)),
      session_(std::make_shared<LanguageSession>(std::move(model), options_.session)),
      sessions_{session_} {
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

class BatchScheduler::AddedModel final : public Generator {
 public:
  AddedModel(BatchScheduler& scheduler, Target target)
      : scheduler_(scheduler), target_(std::move(target)) {}
  std::shared_ptr<GenerationHandle> submit(GenerateRequest request, OnToken token,
                                           OnDone done) override {
    return scheduler_.submit(target_, std::move(request), std::move(token), std::move(done));
  }
  int64_t context_length() const override { return scheduler_.context_length(); }

 private:
  BatchScheduler& scheduler_;
  const Target target_;
};

std::shared_ptr<Generator> BatchScheduler::add_model(ModelPtr model, VersionPtr version) {
  const ModelConfig& own = session_->model()->config();
  const ModelConfig& other = model->config();
  check(own.layers == other.layers && own.kv_heads == other.kv_heads &&
            own.head_dim == other.head_dim && own.vocab_size == other.vocab_size &&
            session_->model()->profile().str() == model->profile().str(),
        "scheduler", "the model is of another shape or profile; wants one over the same base");
  SessionPtr session = session_for(model);
  return std::make_shared<AddedModel>(
      *this, Target{std::move(model), std::move(session), std::move(version)});
}

BatchScheduler::SessionPtr BatchScheduler::session_for(const ModelPtr& model) {
  const std::lock_guard lock(adding_);
  std::erase_if(sessions_, [](const auto& session) { return session.expired(); });
  for (const auto& weak : sessions_) {
    SessionPtr session = weak.lock();
    if (session && run_the_same_program(*session->model(), *model)) return session;
  }
  auto session =
      std::make_shared<LanguageSession>(model, options_.session, session_->shared_cache());
  sessions_.push_back(session);
  return session;
}

std::shared_ptr<GenerationHandle> BatchScheduler::submit(GenerateRequest request, OnToken token,
                                                         OnDone done) {
  return submit({session_->model(), session_, nullptr}, std::move(request), std::move(token),
                std::move(done));
}

std::shared_ptr<GenerationHandle> BatchScheduler::submit(Target target, GenerateRequest request,
                                                         OnToken token, OnDone done) {
  auto job = std::make_shared<Job>(std::move(target), std::move(request), std::move(token),
                                   std::move(done));
  const auto checked = capture_errors("generate", [&] {
    check(!job->request.prompt.empty(), "generate", "the prompt is empty");
    check(job->request.max_tokens > 0, "generate", "max_tokens is {}; wants at least 1",
          job->request.max_tokens);
    check_sampling(job->request.sampling);
    for (int32_t id : job->request.prompt) {
      check(id >= 0 && id < session_->vocab_size(), "generate", "token {}; wants 0 to {}", id,
            session_->vocab_size() - 1);
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
      const bool fits = std::cmp_less(running_.size(), options_.session.max_sequences) &&
                        job->target.session->can_open(job->total_tokens());
      if (!job->cancelled && !fits && !running_.empty()) return;
      queue_.pop_front();
    }
    if (job->cancelled) {
      job->result.finish = Finish::kCancelled;
      finish(*job, job->result);
      continue;
    }
    auto opened = capture_errors("generate", [&] {
      job->sampler = std::make_unique<Sampler>(job->request.sampling, session_->vocab_size(),
                                               job->request.prompt);
      Target& target = job->target;
      if (target.version == nullptr) target.version = target.model->store()->current();
      return target.session->open(job->total_tokens(), target.version);
    });
    if (!opened) {
      finish(*job, opened.error());
      continue;
    }
    job->sequence = opened.value();
    const VersionPtr& version = job->target.version;
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
    const VersionPtr& version = job->target.version;
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
  SessionPtr session;  // the version's: a version belongs to one model
  int64_t room = options_.session.max_batch_tokens;
  const auto add = [&](Job& job, std::span<const int32_t> tokens, bool goes_on) {
    session = job.target.session;
    job.chunk = tokens;
    feeds.push_back({.sequence = job.sequence, .tokens = tokens, .no_logits = goes_on});
    jobs.push_back(&job);
    room -= static_cast<int64_t>(tokens.size());
  };
  for (const bool prefilling : {false, true}) {
    for (const JobPtr& job : running_) {
      if (job->finished || job->prefilling() != prefilling || room == 0) continue;
      if (job->target.version != version) continue;
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
  auto logits = capture_errors("generate", [&] { return session->step(feeds); });
  if (!logits) {
    for (Job* job : jobs) finish(*job, logits.error());
    return;
  }
  std::span<const float> rows = logits.value();
  const auto width = static_cast<size_t>(session_->vocab_size());
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
  if (job.sequence.slot >= 0) job.target.session->close(job.sequence);
  job.target = {};
  if (job.on_done) job.on_done(std::move(result));
}

void BatchScheduler::drop_finished() {
  running_.remove_if([](const JobPtr& job) { return job->finished; });
}

}  // namespace yiti
