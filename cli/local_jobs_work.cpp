// What the threads of LocalJobs do with the jobs.
#include <algorithm>

#include "cli/job_progress.h"
#include "cli/job_run.h"
#include "cli/local_jobs.h"
#include "cli/model_options.h"
#include "core/unix_time.h"
#include "serving/random_id.h"

namespace yiti::cli {
namespace {

namespace fs = std::filesystem;
using serving::random_hex;

constexpr const char* kWhere = "jobs";
// More steps than this are told of in part, so that the list of events stays bounded.
constexpr int64_t kMostStepEvents = 10'000;

}  // namespace

std::string LocalJobs::model_name(const FineTuneJob& job) const {
  const std::string id = job.id.substr(job.id.find('-') + 1, 8);
  return fmt::format("ft:{}:{}:{}:{}", models_.base_name(), job.organization, job.suffix, id);
}

void LocalJobs::tell(Entry& entry, std::string message, const std::optional<JobMetrics>& metrics) {
  JobEvent event =
      make_event(entry.job(), entry.record.events.size() + 1, std::move(message), metrics);
  if (!entry.own()) store_->append(entry.job().id, event);
  entry.record.events.push_back(std::move(event));
}

void LocalJobs::save(const Entry& entry) const {
  if (!entry.own()) store_->save(entry.record);
}

void LocalJobs::change(Entry& entry, JobStatus status, std::string message) {
  entry.job().status = status;
  if (is_final(status)) entry.job().finished_unix_s = now_unix_s();
  tell(entry, std::move(message));
  save(entry);
}

void LocalJobs::fail_job(Entry& entry, const Error& error, const char* code) {
  entry.job().error = {.code = code, .message = error.what(), .param = {}};
  if (std::string_view(code) == "invalid_training_file") entry.job().error.param = "training_file";
  change(entry, JobStatus::kFailed, fmt::format("The job failed: {}", error.what()));
}

void LocalJobs::work(JobStatus on, void (LocalJobs::*on_job)(const EntryPtr&)) {
  while (true) {
    EntryPtr found;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] {
        const auto it = std::ranges::find_if(
            entries_, [&](const EntryPtr& entry) { return entry->job().status == on; });
        found = it == entries_.end() ? nullptr : *it;
        return stopping_ || found != nullptr;
      });
      if (stopping_) return;
    }
    const auto done = capture_errors(kWhere, [&] { (this->*on_job)(found); });
    if (done) continue;
    // Its folder cannot be written, so that only the operator can be told for certain.
    if (options_.note) options_.note(fmt::format("{}: {}", found->job().id, done.error().what()));
    const std::lock_guard lock(mutex_);
    running_ = nullptr;
    found->job().status = JobStatus::kFailed;
    found->job().error = {.code = "server_error", .message = done.error().what(), .param = {}};
    changed_.notify_all();
  }
}

void LocalJobs::validate(const EntryPtr& entry) {
  const auto checked = capture_errors(kWhere, [&] {
    const LoadedModel& base = models_.base();
    check_data(*entry->files, text_of(base), options_.training,
               base.model->config().context_length);
  });
  const std::lock_guard lock(mutex_);
  if (entry->job().status != JobStatus::kValidatingFiles) return;
  if (checked) {
    change(*entry, JobStatus::kQueued, "Files validated, moving job to queued state");
  } else {
    fail_job(*entry, checked.error(), "invalid_training_file");
  }
  changed_.notify_all();
}

void LocalJobs::train(const EntryPtr& entry) {
  {
    const std::lock_guard lock(mutex_);
    if (entry->job().status != JobStatus::kQueued || stopping_) return;
    running_ = entry.get();
    stop_ = false;
    change(*entry, JobStatus::kRunning, "Fine-tuning job started");
  }
  Result<FineTuneResult> result = run(entry);
  std::unique_lock lock(mutex_);
  running_ = nullptr;
  entry->result.emplace(result);
  FineTuneJob& job = entry->job();
  job.seconds_left = 0;
  // A job that was steered has its new status already; one that the server's end stopped goes on
  // in the next process.
  const bool goes_on_later = stopping_ && result.ok() && result.value().stopped;
  if (job.status == JobStatus::kRunning && !goes_on_later) {
    if (!result.ok()) {
      fail_job(*entry, result.error(), "server_error");
    } else {
      lock.unlock();
      finish(entry, result.value());
      lock.lock();
    }
  }
  if (job.status == JobStatus::kCancelled && entry->files) remove_checkpoints(entry->files->run, 0);
  changed_.notify_all();
}

Result<FineTuneResult> LocalJobs::run(const EntryPtr& entry) {
  const LoadedModel& base = models_.base();
  const FineTuneEvents events = watch(entry);
  if (entry->own()) return fine_tune(entry->model, text_of(base), entry->options, events, &stop_);
  auto model = capture_errors(kWhere, [&] {
    return model_to_train(*base.model, options_.lora, entry->job(), *entry->files);
  });
  if (!model) return Error(model.error());
  const FineTuneOptions options = run_options(options_.training, entry->job(), *entry->files);
  return fine_tune(model.value(), text_of(base), options, events, &stop_);
}

FineTuneEvents LocalJobs::watch(const EntryPtr& entry) {
  FineTuneEvents events = entry->events;
  events.note = [this, entry, outer = entry->events.note](std::string_view text) {
    {
      const std::lock_guard lock(mutex_);
      tell(*entry, std::string(text));
    }
    if (outer) outer(text);
  };
  events.step = [this, entry, outer = entry->events.step](const Progress& progress) {
    on_step(*entry, progress);
    if (outer) outer(progress);
  };
  events.published = [this, entry, outer = entry->events.published](const VersionPtr& version) {
    on_published(*entry, *version);
    if (outer) outer(version);
  };
  events.kept = [this, entry](const KeptAdapter& kept) { on_kept(*entry, kept); };
  return events;
}

// A step that was told of before the process died is not told of again: it had the same bits.
void LocalJobs::on_step(Entry& entry, const Progress& progress) {
  const std::lock_guard lock(mutex_);
  const JobMetrics metrics = note_progress(entry.job(), progress);
  entry.last_metrics = metrics;
  const int64_t every = progress.total_steps / kMostStepEvents + 1;
  if (progress.step <= entry.told_step || (progress.step % every != 0 && !progress.evaluated)) {
    return;
  }
  entry.told_step = progress.step;
  tell(entry, step_message(metrics), metrics);
}

void LocalJobs::on_published(Entry& entry, const ParameterVersion& version) {
  const std::lock_guard lock(mutex_);
  entry.job().version = version.number();
  entry.job().fingerprint = version.fingerprint();
  if (entry.own()) tell(entry, fmt::format("Published version {}", version.number()));
}

void LocalJobs::on_kept(Entry& entry, const KeptAdapter& kept) {
  JobCheckpoint checkpoint;
  std::vector<JobCheckpoint> old;
  {
    const std::lock_guard lock(mutex_);
    JobRecord& record = entry.record;
    checkpoint.id = "ftckpt_" + random_hex(3);
    checkpoint.created_unix_s = now_unix_s();
    checkpoint.model = fmt::format("{}:ckpt-step-{}", model_name(record.job), kept.step);
    checkpoint.metrics = entry.last_metrics;
  }
  models_.serve(checkpoint.model, kept.folder, checkpoint.created_unix_s);
  {
    const std::lock_guard lock(mutex_);
    std::vector<JobCheckpoint>& all = entry.record.checkpoints;
    const auto same = std::ranges::find(all, checkpoint.model, &JobCheckpoint::model);
    if (same == all.end()) {
      all.push_back(checkpoint);
      tell(entry, fmt::format("Checkpoint created at step {} with Snapshot ID: {}", kept.step,
                              checkpoint.model));
    }
    while (all.size() > options_.checkpoints_kept) {
      old.push_back(all.front());
      all.erase(all.begin());
    }
    save(entry);
  }
  for (const JobCheckpoint& one : old) {
    models_.withdraw(one.model);
    fs::remove_all(entry.files->kept(one.metrics.step));
  }
  remove_checkpoints(entry.files->run, 1);  // the one of this step is still to come
}

void LocalJobs::finish(const EntryPtr& entry, const FineTuneResult& result) {
  std::string csv;
  FineTuneJob done;
  {
    const std::lock_guard lock(mutex_);
    FineTuneJob& job = entry->job();
    if (result.eval_after) job.held_out_loss = result.eval_after;
    if (entry->own()) {
      return change(*entry, result.stopped ? JobStatus::kCancelled : JobStatus::kSucceeded,
                    result.stopped ? "The job was stopped" : "The job has successfully completed");
    }
    if (result.eval_after) {
      const JobMetrics metrics = {.step = job.total_steps,
                                  .total_steps = job.total_steps,
                                  .valid_loss = result.eval_after,
                                  .valid_accuracy = result.eval_accuracy};
      tell(*entry, fmt::format("Validation loss at the end={:.4f}", *result.eval_after), metrics);
    }
    csv = metrics_csv(entry->record.events);
    done = job;
  }
  const std::string name = model_name(done);
  models_.serve(name, entry->files->adapter, now_unix_s());
  const std::string results = files_->add("step_metrics.csv", "fine-tune-results", csv).id;
  const std::lock_guard lock(mutex_);
  FineTuneJob& job = entry->job();
  job.result_files = {results};
  if (job.status != JobStatus::kRunning) {  // cancelled or paused at the last moment
    models_.withdraw(name);
    return;
  }
  job.fine_tuned_model = name;
  tell(*entry, "New fine-tuned model created: " + name);
  change(*entry, JobStatus::kSucceeded, "The job has successfully completed");
  remove_checkpoints(entry->files->run, 0);
}

}  // namespace yiti::cli
