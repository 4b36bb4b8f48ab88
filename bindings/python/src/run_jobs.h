// Fine-tuning runs that Python started, as the jobs of a server.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "serving/job_runner.h"
#include "training/fine_tune.h"

namespace yiti::python {

/// One run: what its thread tells, and what a server shows of it. Thread-safe.
class RunRecord {
 public:
  explicit RunRecord(const FineTuneOptions& options);

  /// The run's events, told on to `outer`; the record must outlive them.
  FineTuneEvents watch(FineTuneEvents outer);
  void end(Result<FineTuneResult> result);

  /// The name of the model that the run trains, on the server that lists it.
  void serve_as(const std::string& name);
  FineTuneJob job() const;
  std::vector<JobEvent> events() const;
  /// Ends the run behind the step under way.
  void stop() { stop_ = true; }
  const std::atomic<bool>& stopping() const { return stop_; }

 private:
  // With mutex_ held.
  void tell(std::string message, const std::optional<JobMetrics>& metrics = {});
  void on_step(const Progress& progress);

  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  FineTuneJob job_;               // with mutex_
  size_t told_ = 0;               // events; with mutex_
  std::vector<JobEvent> events_;  // those that are kept; with mutex_
};

/// The runs that a server lists. Clients can follow and cancel them, but begin none. Thread-safe.
class RunJobs final : public JobRunner {
 public:
  void add(std::shared_ptr<RunRecord> run);

  std::vector<FineTuneJob> jobs() override;
  FineTuneJob job(std::string_view id) override;
  std::vector<JobEvent> events(std::string_view id) override;
  std::vector<JobCheckpoint> checkpoints(std::string_view id) override;
  FineTuneJob create(const JobRequest& request) override;
  FineTuneJob cancel(std::string_view id) override;
  FineTuneJob pause(std::string_view id) override;
  FineTuneJob resume(std::string_view id) override;
  bool remove_model(std::string_view) override { return false; }
  std::vector<ModelVersion> versions(std::string_view) override { return {}; }
  void serve_version(std::string_view name, int64_t number) override;

 private:
  std::vector<std::shared_ptr<RunRecord>> all() const;
  std::shared_ptr<RunRecord> at(std::string_view id) const;

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<RunRecord>> runs_;  // with mutex_
};

}  // namespace yiti::python
