// One fine-tuning job in a thread of this process, as the server sees it.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include "serving/job_runner.h"
#include "training/fine_tune.h"

namespace yiti::cli {

/// Runs one job beside a server of the same model. Thread-safe.
class LocalJob final : public JobRunner {
 public:
  LocalJob(ModelPtr model, const TextModel& text, FineTuneOptions options, std::string model_name);
  /// Stops the job and waits for it.
  ~LocalJob() override;

  /// Begins the job; `events` are told from its thread.
  void start(FineTuneEvents events);
  /// Waits for its end. Throws the job's error.
  FineTuneResult wait();
  void stop() { stop_ = true; }

  std::vector<FineTuneJob> jobs() override;
  std::optional<FineTuneJob> job(std::string_view id) override;
  std::vector<JobEvent> events(std::string_view id) override;

 private:
  void run(FineTuneEvents events);
  void add_event(std::string message, std::optional<int64_t> step = {},
                 std::optional<double> loss = {});  // with mutex_ held

  ModelPtr model_;
  const TextModel& text_;
  const FineTuneOptions options_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  FineTuneJob job_;                               // with mutex_
  std::vector<JobEvent> events_;                  // with mutex_
  std::optional<Result<FineTuneResult>> result_;  // set by the thread, read after joining it
  std::thread thread_;
};

}  // namespace yiti::cli
