#include "cli/local_jobs.h"

#include <chrono>

namespace yiti::cli {
namespace {

int64_t now_unix_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

LocalJob::LocalJob(ModelPtr model, const TextModel& text, FineTuneOptions options,
                   std::string model_name)
    : model_(std::move(model)), text_(text), options_(std::move(options)) {
  job_.id = "ftjob-1";
  job_.model = model_name;
  job_.fine_tuned_model = std::move(model_name);
  job_.training_file = options_.train_data.filename().string();
  job_.created_unix_s = now_unix_s();
  job_.seed = static_cast<int64_t>(options_.seed);
}

LocalJob::~LocalJob() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void LocalJob::start(FineTuneEvents events) {
  thread_ = std::thread([this, events = std::move(events)] { run(events); });
}

FineTuneResult LocalJob::wait() {
  if (thread_.joinable()) thread_.join();
  if (!result_) fail(Code::kFailedPrecondition, "job", "it was not started");
  return result_->value();
}

void LocalJob::add_event(std::string message, std::optional<int64_t> step,
                         std::optional<double> loss) {
  events_.push_back({"ftevent-" + std::to_string(events_.size() + 1), now_unix_s(),
                     std::move(message), step, loss});
}

void LocalJob::run(FineTuneEvents events) {
  const FineTuneEvents outer = std::move(events);
  FineTuneEvents told = outer;
  told.step = [&](const Progress& progress) {
    {
      const std::lock_guard lock(mutex_);
      job_.step = progress.step;
      job_.total_steps = progress.total_steps;
      job_.loss = progress.loss;
      job_.held_out_loss = progress.eval_loss;
      add_event(fmt::format("Step {}/{}: training loss {:.4f}", progress.step, progress.total_steps,
                            progress.loss),
                progress.step, progress.loss);
    }
    if (outer.step) outer.step(progress);
  };
  told.published = [&](const VersionPtr& version) {
    {
      const std::lock_guard lock(mutex_);
      job_.version = version->number();
      job_.fingerprint = version->fingerprint();
      add_event(fmt::format("Published version {}", version->number()));
    }
    if (outer.published) outer.published(version);
  };
  {
    const std::lock_guard lock(mutex_);
    job_.status = JobStatus::kRunning;
    add_event("The job has started");
  }
  result_ = fine_tune(model_, text_, options_, told, &stop_);
  const std::lock_guard lock(mutex_);
  job_.finished_unix_s = now_unix_s();
  if (!result_->ok()) {
    job_.status = JobStatus::kFailed;
    job_.error = result_->error().what();
    add_event("The job failed: " + job_.error);
    return;
  }
  const FineTuneResult& done = result_->value();
  job_.trained_tokens = done.tokens;
  if (done.eval_after) job_.held_out_loss = done.eval_after;
  job_.status = done.stopped ? JobStatus::kCancelled : JobStatus::kSucceeded;
  add_event(done.stopped ? "The job was stopped" : "The job has succeeded");
}

std::vector<FineTuneJob> LocalJob::jobs() {
  const std::lock_guard lock(mutex_);
  return {job_};
}

std::optional<FineTuneJob> LocalJob::job(std::string_view id) {
  const std::lock_guard lock(mutex_);
  if (id != job_.id) return std::nullopt;
  return job_;
}

std::vector<JobEvent> LocalJob::events(std::string_view id) {
  const std::lock_guard lock(mutex_);
  return id == job_.id ? events_ : std::vector<JobEvent>();
}

}  // namespace yiti::cli
