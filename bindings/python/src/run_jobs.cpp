#include "bindings/python/src/run_jobs.h"

#include <algorithm>

#include "cli/job_progress.h"
#include "core/unix_time.h"

namespace yiti::python {
namespace {

// A long run's first events make room for its latest.
constexpr size_t kMostEvents = 10'000;

[[noreturn]] void fail_from_python(std::string_view what) {
  fail(Code::kFailedPrecondition, "jobs", "the runs of this server belong to the program that {}",
       what);
}

}  // namespace

RunRecord::RunRecord(const FineTuneOptions& options) : job_(cli::make_job(options)) {
  job_.status = JobStatus::kRunning;
}

void RunRecord::tell(std::string message, const std::optional<JobMetrics>& metrics) {
  if (events_.size() == kMostEvents) events_.erase(events_.begin());
  events_.push_back(cli::make_event(job_, ++told_, std::move(message), metrics));
}

void RunRecord::on_step(const Progress& progress) {
  const JobMetrics metrics = cli::note_progress(job_, progress);
  tell(cli::step_message(metrics), metrics);
}

FineTuneEvents RunRecord::watch(FineTuneEvents outer) {
  FineTuneEvents events = outer;
  events.note = [this, told = outer.note](std::string_view text) {
    {
      const std::lock_guard lock(mutex_);
      tell(std::string(text));
    }
    if (told) told(text);
  };
  events.step = [this, told = outer.step](const Progress& progress) {
    {
      const std::lock_guard lock(mutex_);
      on_step(progress);
    }
    if (told) told(progress);
  };
  events.published = [this](const VersionPtr& version) {
    const std::lock_guard lock(mutex_);
    job_.version = version->number();
    job_.fingerprint = version->fingerprint();
    tell(fmt::format("Published version {}", version->number()));
  };
  return events;
}

void RunRecord::end(Result<FineTuneResult> result) {
  const std::lock_guard lock(mutex_);
  job_.finished_unix_s = now_unix_s();
  job_.seconds_left = 0;
  if (!result.ok()) {
    job_.status = JobStatus::kFailed;
    job_.error = {.code = "server_error", .message = result.error().what(), .param = {}};
    return tell(fmt::format("The job failed: {}", result.error().what()));
  }
  if (result.value().eval_after) job_.held_out_loss = result.value().eval_after;
  const bool stopped = result.value().stopped;
  job_.status = stopped ? JobStatus::kCancelled : JobStatus::kSucceeded;
  tell(stopped ? "The job was stopped" : "The job has successfully completed");
}

void RunRecord::serve_as(const std::string& name) {
  const std::lock_guard lock(mutex_);
  job_.model = job_.fine_tuned_model = name;
}

FineTuneJob RunRecord::job() const {
  const std::lock_guard lock(mutex_);
  return job_;
}

std::vector<JobEvent> RunRecord::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

void RunJobs::add(std::shared_ptr<RunRecord> run) {
  const std::lock_guard lock(mutex_);
  if (std::find(runs_.begin(), runs_.end(), run) == runs_.end()) runs_.push_back(std::move(run));
}

std::vector<std::shared_ptr<RunRecord>> RunJobs::all() const {
  const std::lock_guard lock(mutex_);
  return runs_;
}

std::shared_ptr<RunRecord> RunJobs::at(std::string_view id) const {
  for (const std::shared_ptr<RunRecord>& run : all()) {
    if (run->job().id == id) return run;
  }
  fail(Code::kNotFound, "jobs", "there is no job {}", id);
}

std::vector<FineTuneJob> RunJobs::jobs() {
  std::vector<FineTuneJob> jobs;
  for (const std::shared_ptr<RunRecord>& run : all()) jobs.push_back(run->job());
  return jobs;
}

FineTuneJob RunJobs::job(std::string_view id) { return at(id)->job(); }

std::vector<JobEvent> RunJobs::events(std::string_view id) { return at(id)->events(); }

std::vector<JobCheckpoint> RunJobs::checkpoints(std::string_view id) {
  at(id);
  return {};
}

FineTuneJob RunJobs::create(const JobRequest&) { fail_from_python("serves: it begins them"); }

FineTuneJob RunJobs::cancel(std::string_view id) {
  const std::shared_ptr<RunRecord> run = at(id);
  if (is_final(run->job().status)) {
    fail(Code::kFailedPrecondition, "jobs", "{} is {}", id, status_name(run->job().status));
  }
  run->stop();
  return run->job();
}

FineTuneJob RunJobs::pause(std::string_view) { fail_from_python("serves: they do not pause"); }

FineTuneJob RunJobs::resume(std::string_view) { fail_from_python("serves: they do not pause"); }

void RunJobs::serve_version(std::string_view name, int64_t number) {
  fail(Code::kNotFound, "jobs", "{} has no version {}", name, number);
}

}  // namespace yiti::python
