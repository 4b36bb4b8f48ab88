// Fine-tuning jobs in a thread of this process, one after the other, beside the server.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cli/adapter_models.h"
#include "cli/job_run.h"
#include "cli/job_store.h"
#include "serving/file_store.h"
#include "serving/job_runner.h"
#include "training/fine_tune.h"

namespace yiti::cli {

struct LocalJobsOptions {
  FineTuneOptions training = {};      ///< what a job does not say; with the gate
  LoraConfig lora = {};               ///< of adapters that begin afresh
  std::filesystem::path folder = {};  ///< of jobs that clients make; empty: they cannot
  std::string organization = "yiti";  ///< in the names of models
  size_t checkpoints_kept = 4;        ///< models of a job's latest checkpoints
  size_t max_waiting = 100;           ///< jobs that are not over
  std::function<void(std::string_view)> note = {};  ///< a line for the operator
};

/// Jobs that clients make are kept on disk with all that they need: after a crash, finished models
/// are served again and what was running goes on from its last checkpoint, with the same bits.
/// Thread-safe. What it is made with must outlive it.
class LocalJobs final : public JobRunner {
 public:
  /// Takes up the jobs that it finds. `files` may be null where the options name no folder.
  LocalJobs(AdapterModels& models, FileStore* files, LocalJobsOptions options);
  /// Stops at the end of the step under way; a job that runs goes on in the next process.
  ~LocalJobs() override;

  /// Queues a job of this process's own: trains `model` itself, so that a server of it serves each
  /// version as it is published. It is not kept on disk. `events` are told from the job's thread.
  /// Returns its id.
  std::string start(ModelPtr model, FineTuneOptions options, FineTuneEvents events);
  /// Waits for such a job's end. Throws its error.
  FineTuneResult wait(std::string_view id);
  /// Begins to stop, without waiting.
  void stop();

  std::vector<FineTuneJob> jobs() override;
  FineTuneJob job(std::string_view id) override;
  std::vector<JobEvent> events(std::string_view id) override;
  std::vector<JobCheckpoint> checkpoints(std::string_view id) override;
  FineTuneJob create(const JobRequest& request) override;
  FineTuneJob cancel(std::string_view id) override;
  FineTuneJob pause(std::string_view id) override;
  FineTuneJob resume(std::string_view id) override;
  bool remove_model(std::string_view name) override;
  std::vector<ModelVersion> versions(std::string_view name) override;
  void serve_version(std::string_view name, int64_t number) override;

 private:
  struct Entry {
    JobRecord record = {};  // with mutex_, as all that changes later
    std::optional<JobFiles> files = {};
    int64_t told_step = 0;  // the last one in the events
    JobMetrics last_metrics = {};

    // Of a job of this process's own only.
    ModelPtr model = {};
    FineTuneOptions options = {};
    FineTuneEvents events = {};
    std::optional<Result<FineTuneResult>> result = {};

    bool own() const { return model != nullptr; }
    FineTuneJob& job() { return record.job; }
  };
  using EntryPtr = std::shared_ptr<Entry>;

  void take_up();
  void serve(const Entry& entry);
  static std::filesystem::path adapter_of(const Entry& entry, std::optional<int64_t> step);
  EntryPtr make_entry(const JobRequest& request);
  void copy_inputs(const Entry& entry, const JobRequest& request) const;
  std::filesystem::path model_folder(std::string_view name);
  std::string model_name(const FineTuneJob& job) const;

  /// Both threads: take the oldest job of a status and work on it.
  void work(JobStatus on, void (LocalJobs::*on_job)(const EntryPtr&));
  void validate(const EntryPtr& entry);
  void train(const EntryPtr& entry);
  Result<FineTuneResult> run(const EntryPtr& entry);
  FineTuneEvents watch(const EntryPtr& entry);
  void on_step(Entry& entry, const Progress& progress);
  void on_published(Entry& entry, const ParameterVersion& version);
  void on_kept(Entry& entry, const KeptAdapter& kept);
  void finish(const EntryPtr& entry, const FineTuneResult& result);

  // All with mutex_ held.
  Entry& at(std::string_view id);
  EntryPtr maker_of(std::string_view name) const;
  FineTuneJob steer(Entry& entry, JobStatus to, std::string message);
  void change(Entry& entry, JobStatus status, std::string message);
  void fail_job(Entry& entry, const Error& error, const char* code);
  void tell(Entry& entry, std::string message, const std::optional<JobMetrics>& metrics = {});
  void save(const Entry& entry) const;

  AdapterModels& models_;
  FileStore* const files_;
  const LocalJobsOptions options_;
  std::optional<JobStore> store_;
  std::atomic<bool> stop_{false};  // the run under way
  std::mutex changing_;  // held by what changes served models at a client's wish; before mutex_
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<EntryPtr> entries_;   // by number; with mutex_
  int64_t next_number_ = 0;         // with mutex_
  bool stopping_ = false;           // with mutex_
  const Entry* running_ = nullptr;  // with mutex_
  std::thread validator_, trainer_;
};

}  // namespace yiti::cli
