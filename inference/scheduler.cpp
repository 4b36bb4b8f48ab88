#include "inference/scheduler.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/error.h"
#include "inference/sampler.h"
#include "inference/scheduler_job.h"
#include "models/lora.h"
#include "ops/attention/key_block.h"

namespace yiti {

namespace {

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

BatchScheduler::BatchScheduler(ModelPtr model, SchedulerOptions options)
    : options_(std::move(options)),
      session_(std::make_shared<LanguageSession>(model, options_.session)),
      own_{std::move(model), session_, nullptr, std::make_shared<Counts>()},
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
  std::shared_ptr<GenerationHandle> embed(EmbedRequest request, OnEmbedding done) override {
    return scheduler_.embed(target_, std::move(request), std::move(done));
  }
  GeneratorStats stats() const override { return scheduler_.stats(*target_.counts); }
  int64_t context_length() const override { return scheduler_.context_length(); }

 private:
  BatchScheduler& scheduler_;
  const Target target_;
};

std::shared_ptr<Generator> BatchScheduler::add_model(ModelPtr model, VersionPtr version) {
  const ModelConfig& own = own_.model->config();
  const ModelConfig& other = model->config();
  check(own.layers == other.layers && own.kv_heads == other.kv_heads &&
            own.head_dim == other.head_dim && own.vocab_size == other.vocab_size &&
            own_.model->profile().str() == model->profile().str(),
        "scheduler", "the model is of another shape or profile; wants one over the same base");
  SessionPtr session = session_for(model);
  return std::make_shared<AddedModel>(
      *this,
      Target{std::move(model), std::move(session), std::move(version), std::make_shared<Counts>()});
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

void BatchScheduler::check_prompt(const Job& job) const {
  const std::span<const int32_t> prompt = job.prompt();
  check(!prompt.empty(), "generate", "the prompt is empty");
  for (int32_t id : prompt) {
    check(id >= 0 && id < session_->vocab_size(), "generate", "token {}; wants 0 to {}", id,
          session_->vocab_size() - 1);
  }
}

void BatchScheduler::enqueue(const JobPtr& job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) fail(Code::kUnavailable, "generate", "shutting down");
    if (queue_.size() >= options_.max_queue) {
      fail(Code::kResourceExhausted, "generate", "{} requests wait already", queue_.size());
    }
    job->wait(options_.gate);
    queue_.push(job->request.client, job);
  }
  wake_.notify_all();
}

std::shared_ptr<GenerationHandle> BatchScheduler::submit(GenerateRequest request, OnToken token,
                                                         OnDone done) {
  return submit(own_, std::move(request), std::move(token), std::move(done));
}

std::shared_ptr<GenerationHandle> BatchScheduler::embed(EmbedRequest request, OnEmbedding done) {
  return embed(own_, std::move(request), std::move(done));
}

GeneratorStats BatchScheduler::stats() const { return stats(*own_.counts); }

std::shared_ptr<GenerationHandle> BatchScheduler::submit(const Target& target,
                                                         GenerateRequest request, OnToken token,
                                                         OnDone done) {
  auto job = std::make_shared<Job>(target, std::move(request), std::move(token), std::move(done));
  auto queued = capture_errors("generate", [&] {
    check_prompt(*job);
    check(job->request.max_tokens > 0, "generate", "max_tokens is {}; wants at least 1",
          job->request.max_tokens);
    check_sampling(job->request.sampling, session_->vocab_size());
    const auto prompt = static_cast<int64_t>(job->prompt().size());
    check(prompt < context_length(), "generate",
          "the prompt has {} tokens; the context holds {} with at least one generated", prompt,
          context_length());
    job->request.max_tokens = std::min(job->request.max_tokens, context_length() - prompt);
    enqueue(job);
  });
  if (!queued.ok()) job->fail_with(queued.error());
  return job;
}

std::shared_ptr<GenerationHandle> BatchScheduler::embed(const Target& target, EmbedRequest request,
                                                        OnEmbedding done) {
  auto job = std::make_shared<Job>(target, std::move(request), std::move(done));
  auto queued = capture_errors("embed", [&] {
    check_prompt(*job);
    check(job->total_tokens() <= context_length(), "embed",
          "the text has {} tokens; the context holds {}", job->total_tokens(), context_length());
    enqueue(job);
  });
  if (!queued.ok()) job->fail_with(queued.error());
  return job;
}

GeneratorStats BatchScheduler::stats(const Counts& counts) const {
  GeneratorStats stats;
  stats.running = counts.running;
  stats.waiting = counts.waiting;
  stats.slots_used = running_count_;
  stats.slots = session_->options().max_sequences;
  stats.kv_tokens = session_->cache().blocks() * kKeyBlock;
  stats.kv_tokens_used = blocks_used_ * kKeyBlock;
  stats.kv_tokens_kept = blocks_kept_ * kKeyBlock;
  stats.kv_tokens_touched = blocks_touched_ * kKeyBlock;
  stats.kv_token_bytes = session_->cache().block_bytes() / kKeyBlock;
  if (options_.session.block_store) stats.store = options_.session.block_store->stats();
  stats.tensor_bytes = static_cast<int64_t>(session_->model()->device()->live_bytes());
  const int64_t began = turn_began_ns_;
  if (began != 0) stats.step_under_way_s = static_cast<double>(now_ns() - began) * 1e-9;
  return stats;
}

void BatchScheduler::run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty() || !running_.empty(); });
      if (stopping_) {
        for (const JobPtr& job : queue_.take_if([](const JobPtr&) { return true; })) {
          running_.push_back(job);
        }
        for (const JobPtr& job : running_) job->cancel();
        if (running_.empty()) return;
      }
    }
    if (options_.gate) options_.gate->begin_turn();
    turn_began_ns_ = now_ns();
    turn();
    turn_began_ns_ = 0;
    if (options_.gate) options_.gate->end_turn();
  }
}

void BatchScheduler::turn() {
  drop_cancelled();
  admit();
  note_state();
  step();
  remove_finished();
  note_state();
}

void BatchScheduler::note_state() {
  running_count_ = static_cast<int64_t>(running_.size());
  blocks_used_ = session_->cache().blocks() - session_->cache().free_blocks();
  blocks_touched_ = session_->cache().touched_blocks();
  blocks_kept_ = session_->cache().kept_blocks();
}

// Wherever they wait, so that they hold nobody up.
void BatchScheduler::drop_cancelled() {
  std::vector<JobPtr> left;
  {
    const std::lock_guard lock(mutex_);
    left = queue_.take_if([](const JobPtr& job) { return job->cancelled(); });
  }
  for (const JobPtr& job : left) job->finish(Finish::kCancelled);
  for (const JobPtr& job : running_) {
    if (job->cancelled()) job->finish(Finish::kCancelled);
  }
  remove_finished();
}

void BatchScheduler::remove_finished() {
  running_.remove_if([&](const JobPtr& job) {
    if (job->finished() && options_.drafter) options_.drafter->end(job->number);
    return job->finished();
  });
}

// Models have sessions, and so places, of their own, but together no more than one has.
bool BatchScheduler::has_room_for(const Job& job) const {
  return std::cmp_less(running_.size(), options_.session.max_sequences) &&
         job.target.session->can_open(job.total_tokens());
}

// Starts requests, in turns of the clients, while there is room for the next one.
void BatchScheduler::admit() {
  while (true) {
    JobPtr job;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty()) return;
      job = queue_.front();
      if (!has_room_for(*job) && !running_.empty()) return;
      queue_.pop();
    }
    const auto begun = capture_errors("generate", [&] {
      job->number = ++begun_;
      job->begin();
    });
    if (begun.ok()) {
      running_.push_back(std::move(job));
    } else {
      job->fail_with(begun.error());
    }
  }
}

void BatchScheduler::step() {
  std::vector<SessionPtr> sessions;
  for (const JobPtr& job : running_) {
    const SessionPtr& session = job->target.session;
    if (std::ranges::find(sessions, session) == sessions.end()) sessions.push_back(session);
  }
  for (const SessionPtr& session : sessions) step_session(session);
}

// What requests that decode take of a step: the last token of each, and what was guessed behind it.
std::vector<BatchScheduler::Work> BatchScheduler::decode(std::span<Job* const> jobs) {
  std::vector<DraftRequest> drafts;
  auto room = std::min(options_.draft_rows, options_.session.max_batch_tokens) -
              static_cast<int64_t>(jobs.size());
  if (options_.drafter && room > 0) {
    for (size_t i = 0; i < jobs.size(); ++i) {
      drafts.push_back(jobs[i]->wanted_draft(room / static_cast<int64_t>(jobs.size() - i)));
      room -= drafts.back().wanted;
    }
    options_.drafter->draft(drafts);
  }
  drafts.resize(jobs.size());
  std::vector<Work> work;
  for (size_t i = 0; i < jobs.size(); ++i) {
    work.push_back({jobs[i], jobs[i]->decode(drafts[i].draft)});
  }
  return work;
}

// One step of all requests of a session: a token for each that decodes, and even shares of what is
// left for the prompts, the shortest first, so that what one does not need goes to the others.
void BatchScheduler::step_session(const SessionPtr& session) {
  std::vector<Job*> jobs, prompts;
  int64_t room = options_.session.max_batch_tokens;
  for (const JobPtr& job : running_) {
    if (job->finished() || job->target.session != session) continue;
    if (job->prefilling()) {
      prompts.push_back(job.get());
    } else if (std::cmp_less(jobs.size(), room)) {
      jobs.push_back(job.get());
    }
  }
  std::vector<Work> work = decode(jobs);
  for (const Work& one : work) room -= static_cast<int64_t>(one.feed.tokens.size());
  if (!work.empty()) room = std::min(room, options_.prefill_beside_decoding);
  std::stable_sort(prompts.begin(), prompts.end(), [](const Job* a, const Job* b) {
    return a->prompt_left().size() < b->prompt_left().size();
  });
  for (size_t i = 0; i < prompts.size() && room > 0; ++i) {
    Job& job = *prompts[i];
    const auto share = std::max<int64_t>(room / static_cast<int64_t>(prompts.size() - i), 1);
    const auto left = job.prompt_left();
    const auto count = std::min(left.size(), static_cast<size_t>(share));
    work.push_back({&job,
                    {.sequence = job.sequence,
                     .tokens = left.first(count),
                     .no_logits = job.embeds() || count < left.size(),
                     .hidden = job.embeds()}});
    room -= static_cast<int64_t>(count);
  }
  if (!work.empty()) run_step(*session, std::move(work));
}

// So many of the best tokens are enough for all of them; 0: one looks at all logits.
int64_t BatchScheduler::best_of(std::span<const Work> work) {
  int64_t most = 0;
  for (const Work& one : work) {
    if (one.feed.no_logits) continue;
    const int64_t wanted = one.job->wanted_best();
    if (wanted == 0) return 0;
    most = std::max(most, wanted);
  }
  return most;
}

void BatchScheduler::run_step(LanguageSession& session, std::vector<Work> work) {
  // Those of a version together, so that what versions do not share runs once for each.
  std::ranges::stable_sort(work, std::less<>(),
                           [](const Work& one) { return one.job->target.version.get(); });
  std::vector<Feed> feeds;
  for (const Work& one : work) feeds.push_back(one.feed);
  auto logits = capture_errors("generate", [&] { return session.step(feeds, best_of(work)); });
  if (!logits.ok()) {
    for (const Work& one : work) one.job->fail_with(logits.error());
    return;
  }
  size_t row = 0;
  std::span<const float> hidden = session.hidden();
  const auto width = static_cast<size_t>(session.model()->config().hidden_size);
  for (const Work& one : work) {
    Job& job = *one.job;
    const Feed& feed = one.feed;
    const size_t taken = feed.hidden ? feed.tokens.size() * width : 0;
    if (job.prefilling()) job.took_prompt(feed.tokens.size(), hidden.first(taken));
    hidden = hidden.subspan(taken);
    if (job.embeds() && !job.prefilling()) job.finish(Finish::kStop);
    if (feed.no_logits) continue;
    const size_t rows = feed.all_logits ? feed.tokens.size() : 1;
    const auto advanced =
        capture_errors("generate", [&] { job.advance(logits.value().rows(row, rows)); });
    if (!advanced.ok()) job.fail_with(advanced.error());
    row += rows;
  }
}

}  // namespace yiti
