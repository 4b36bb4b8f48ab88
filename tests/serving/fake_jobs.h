// A job runner that trains nothing: it keeps what it is told.
#pragma once

#include <fmt/format.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/error.h"
#include "serving/job_runner.h"
#include "serving/model_registry.h"

namespace yiti::testing {

/// Jobs are called ftjob-1, ftjob-2, …; each has two events, the second of step 7.
class FakeJobs : public JobRunner {
 public:
  FakeJobs() = default;
  explicit FakeJobs(std::shared_ptr<ModelRegistry> models) : models_(std::move(models)) {}

  FineTuneJob add(JobStatus status) {
    FineTuneJob job;
    job.model = "fake";
    job.training_file = "yiti.jsonl";
    job.status = status;
    job.created_unix_s = 1700000000;
    job.trained_tokens = 4096;
    job.step = 7;
    job.total_steps = 50;
    job.loss = 1.5;
    const std::lock_guard lock(mutex_);
    job.id = fmt::format("ftjob-{}", jobs_.size() + 1);
    jobs_.push_back(job);
    return job;
  }

  std::vector<FineTuneJob> jobs() override {
    const std::lock_guard lock(mutex_);
    return jobs_;
  }
  FineTuneJob job(std::string_view id) override {
    const std::lock_guard lock(mutex_);
    return at(id);
  }
  std::vector<JobEvent> events(std::string_view id) override {
    job(id);
    const JobMetrics metrics = {.step = 7, .total_steps = 50, .train_loss = 1.5};
    return {
        {.id = "ftevent-1", .created_unix_s = 1700000001, .message = "started"},
        {.id = "ftevent-2", .created_unix_s = 1700000002, .message = "step 7", .metrics = metrics}};
  }
  std::vector<JobCheckpoint> checkpoints(std::string_view id) override {
    job(id);
    return {{.id = "ftckpt-1",
             .created_unix_s = 1700000003,
             .model = "ft:fake:yiti::1:ckpt-step-7",
             .metrics = {.step = 7, .train_loss = 1.5, .valid_loss = 2}}};
  }
  FineTuneJob create(const JobRequest& request) override {
    if (request.training_file == "file-none") {
      fail(Code::kNotFound, "jobs", "there is no file '{}'", request.training_file);
    }
    const std::string id = add(JobStatus::kValidatingFiles).id;
    const std::lock_guard lock(mutex_);
    FineTuneJob& job = at(id);
    job.training_file = request.training_file;
    job.hyperparameters = request.hyperparameters;
    job.suffix = request.suffix;
    job.seed = request.seed.value_or(0);
    job.metadata = request.metadata;
    return job;
  }
  FineTuneJob cancel(std::string_view id) override { return change(id, JobStatus::kCancelled); }
  FineTuneJob pause(std::string_view id) override { return change(id, JobStatus::kPaused); }
  FineTuneJob resume(std::string_view id) override { return change(id, JobStatus::kQueued); }
  bool remove_model(std::string_view name) override {
    return name.starts_with("ft:") && models_ != nullptr && models_->remove(name);
  }
  // "ft:versions" has three, of steps 5, 10 and 15.
  std::vector<ModelVersion> versions(std::string_view name) override {
    if (name != "ft:versions") return {};
    const std::lock_guard lock(mutex_);
    std::vector<ModelVersion> list;
    for (const int64_t step : {5, 10, 15}) {
      list.push_back({step, 1700000000 + step, step == served_version_});
    }
    return list;
  }
  void serve_version(std::string_view, int64_t number) override {
    if (number % 5 != 0 || number == 0 || number > 15) {
      fail(Code::kNotFound, "jobs", "version {} is not kept", number);
    }
    const std::lock_guard lock(mutex_);
    served_version_ = number;
  }

 private:
  FineTuneJob& at(std::string_view id) {
    for (FineTuneJob& job : jobs_) {
      if (job.id == id) return job;
    }
    fail(Code::kNotFound, "jobs", "there is no job '{}'", id);
  }
  FineTuneJob change(std::string_view id, JobStatus status) {
    const std::lock_guard lock(mutex_);
    FineTuneJob& job = at(id);
    if (is_final(job.status)) {
      fail(Code::kFailedPrecondition, "jobs", "the job is {}", status_name(job.status));
    }
    job.status = status;
    return job;
  }

  std::shared_ptr<ModelRegistry> models_;
  std::mutex mutex_;
  std::vector<FineTuneJob> jobs_;
  int64_t served_version_ = 15;
};

}  // namespace yiti::testing
