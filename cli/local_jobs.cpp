#include "cli/local_jobs.h"

#include <algorithm>
#include <random>

#include "cli/job_progress.h"
#include "core/unix_time.h"
#include "serving/random_id.h"

namespace yiti::cli {
namespace {

namespace fs = std::filesystem;
using serving::random_hex;

constexpr const char* kWhere = "jobs";
int64_t random_seed() {
  std::random_device device;
  return static_cast<int64_t>(device() >> 1);
}

// A file of the store is never changed, so that a second name for it is as good as a copy.
void link_or_copy(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  fs::create_hard_link(from, to, failed);
  if (failed) fs::copy_file(from, to);
}

}  // namespace

LocalJobs::LocalJobs(AdapterModels& models, FileStore* files, LocalJobsOptions options)
    : models_(models), files_(files), options_(std::move(options)) {
  if (!options_.folder.empty()) {
    store_.emplace(options_.folder);
    take_up();
  }
  validator_ = std::thread([this] { work(JobStatus::kValidatingFiles, &LocalJobs::validate); });
  trainer_ = std::thread([this] { work(JobStatus::kQueued, &LocalJobs::train); });
}

LocalJobs::~LocalJobs() {
  stop();
  validator_.join();
  trainer_.join();
}

void LocalJobs::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  stop_ = true;
  changed_.notify_all();
}

// What an earlier process left.
void LocalJobs::take_up() {
  for (JobRecord& record : store_->load(options_.note)) {
    auto entry = std::make_shared<Entry>();
    entry->record = std::move(record);
    FineTuneJob& job = entry->job();
    entry->files.emplace(store_->folder(job.id));
    for (const JobEvent& event : entry->record.events) {
      if (!event.metrics) continue;
      entry->told_step = job.step = std::max(entry->told_step, event.metrics->step);
      if (event.metrics->train_loss) job.loss = event.metrics->train_loss;
    }
    next_number_ = entry->record.number + 1;
    entries_.push_back(entry);
    serve(*entry);
    if (job.status == JobStatus::kRunning) {
      change(*entry, JobStatus::kQueued, "The server was restarted; the job goes on where it was");
    }
  }
}

LocalJobs::Entry& LocalJobs::at(std::string_view id) {
  for (const EntryPtr& entry : entries_) {
    if (entry->job().id == id) return *entry;
  }
  fail(Code::kNotFound, kWhere, "there is no job '{}'", id.substr(0, 256));
}

std::vector<FineTuneJob> LocalJobs::jobs() {
  const std::lock_guard lock(mutex_);
  std::vector<FineTuneJob> jobs;
  for (const EntryPtr& entry : entries_) jobs.push_back(entry->job());
  return jobs;
}

FineTuneJob LocalJobs::job(std::string_view id) {
  const std::lock_guard lock(mutex_);
  return at(id).job();
}

std::vector<JobEvent> LocalJobs::events(std::string_view id) {
  const std::lock_guard lock(mutex_);
  return at(id).record.events;
}

std::vector<JobCheckpoint> LocalJobs::checkpoints(std::string_view id) {
  const std::lock_guard lock(mutex_);
  return at(id).record.checkpoints;
}

LocalJobs::EntryPtr LocalJobs::make_entry(const JobRequest& request) {
  auto entry = std::make_shared<Entry>();
  FineTuneJob& job = entry->job();
  job.id = "ftjob-" + random_hex(3);
  job.model = request.model;
  job.training_file = request.training_file;
  job.validation_file = request.validation_file;
  job.suffix = request.suffix;
  job.organization = options_.organization;
  job.status = JobStatus::kValidatingFiles;
  job.created_unix_s = now_unix_s();
  job.seed = request.seed.value_or(random_seed());
  job.hyperparameters = request.hyperparameters;
  job.metadata = request.metadata;
  entry->files.emplace(store_->folder(job.id));
  return entry;
}

// A job has all that it needs in its own folder, whatever is deleted meanwhile.
void LocalJobs::copy_inputs(const Entry& entry, const JobRequest& request) const {
  for (const std::string& id : {request.training_file, request.validation_file}) {
    if (id.empty()) continue;
    const auto file = files_->find(id);
    if (!file || file->purpose != "fine-tune") {
      fail(Code::kNotFound, kWhere, "there is no file '{}' of purpose fine-tune",
           id.substr(0, 256));
    }
  }
  fs::create_directories(store_->folder(entry.record.job.id));
  link_or_copy(files_->path(request.training_file), entry.files->train);
  if (!request.validation_file.empty()) {
    link_or_copy(files_->path(request.validation_file), entry.files->validation);
  }
}

FineTuneJob LocalJobs::create(const JobRequest& request) {
  if (!store_) {
    fail(Code::kFailedPrecondition, kWhere, "this server keeps no jobs: it has no data folder");
  }
  const bool afresh = request.model == models_.base_name();
  const fs::path start = afresh ? fs::path() : model_folder(request.model);
  if (!afresh && start.empty()) {
    fail(Code::kNotFound, kWhere, "the model '{}' does not exist or cannot be fine-tuned",
         request.model.substr(0, 256));
  }
  const EntryPtr entry = make_entry(request);
  const fs::path folder = store_->folder(entry->job().id);
  auto made = capture_errors(kWhere, [&] {
    copy_inputs(*entry, request);
    if (!afresh) fs::copy(start, entry->files->start, fs::copy_options::recursive);
    const std::lock_guard lock(mutex_);
    if (stopping_) fail(Code::kUnavailable, kWhere, "the server is shutting down");
    const auto waiting = std::ranges::count_if(
        entries_, [](const EntryPtr& one) { return !is_final(one->job().status); });
    if (std::cmp_greater_equal(waiting, options_.max_waiting)) {
      fail(Code::kResourceExhausted, kWhere, "{} jobs wait already", waiting);
    }
    entry->record.number = next_number_++;
    save(*entry);
    entries_.push_back(entry);
    tell(*entry, "Created fine-tuning job: " + entry->job().id);
    tell(*entry, "Validating training file: " + request.training_file);
    changed_.notify_all();
    return entry->job();
  });
  if (made) return std::move(made).value();
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  throw Error(made.error());
}

FineTuneJob LocalJobs::steer(Entry& entry, JobStatus to, std::string message) {
  change(entry, to, std::move(message));
  if (running_ == &entry && to != JobStatus::kQueued) stop_ = true;
  changed_.notify_all();
  return entry.job();
}

FineTuneJob LocalJobs::cancel(std::string_view id) {
  const std::lock_guard lock(mutex_);
  Entry& entry = at(id);
  if (is_final(entry.job().status)) {
    fail(Code::kFailedPrecondition, kWhere, "the job has {} already",
         status_name(entry.job().status));
  }
  return steer(entry, JobStatus::kCancelled, "Fine-tuning job cancelled");
}

FineTuneJob LocalJobs::pause(std::string_view id) {
  const std::lock_guard lock(mutex_);
  Entry& entry = at(id);
  const JobStatus status = entry.job().status;
  if (entry.own()) {
    fail(Code::kFailedPrecondition, kWhere, "a job of the command line cannot be paused");
  }
  if (status != JobStatus::kRunning && status != JobStatus::kQueued) {
    fail(Code::kFailedPrecondition, kWhere, "the job is {}; wants queued or running",
         status_name(status));
  }
  return steer(entry, JobStatus::kPaused, "Fine-tuning job paused");
}

FineTuneJob LocalJobs::resume(std::string_view id) {
  const std::lock_guard lock(mutex_);
  Entry& entry = at(id);
  if (entry.job().status != JobStatus::kPaused) {
    fail(Code::kFailedPrecondition, kWhere, "the job is {}; wants paused",
         status_name(entry.job().status));
  }
  return steer(entry, JobStatus::kQueued, "Fine-tuning job resumed");
}

std::string LocalJobs::start(ModelPtr model, FineTuneOptions options, FineTuneEvents events) {
  auto entry = std::make_shared<Entry>();
  FineTuneJob& job = entry->job() = make_job(options);
  job.model = job.fine_tuned_model = models_.base_name();
  job.organization = options_.organization;
  entry->model = std::move(model);
  entry->options = std::move(options);
  entry->events = std::move(events);
  const std::lock_guard lock(mutex_);
  entry->record.number = next_number_++;
  entries_.push_back(entry);
  changed_.notify_all();
  return job.id;
}

FineTuneResult LocalJobs::wait(std::string_view id) {
  std::unique_lock lock(mutex_);
  Entry& entry = at(id);
  check(entry.own(), kWhere, "job '{}' is not of this process's own", id);
  changed_.wait(lock,
                [&] { return entry.result.has_value() || (stopping_ && running_ != &entry); });
  if (!entry.result) fail(Code::kCancelled, kWhere, "the job did not run");
  return entry.result->value();
}

}  // namespace yiti::cli
