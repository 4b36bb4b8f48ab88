// Fine-tuning jobs on disk: what they are, what happened to them, and the folders that they work
// in.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/job_runner.h"

namespace yiti::cli {

/// All that outlives a process.
struct JobRecord {
  int64_t number = 0;  ///< in the order of arrival
  FineTuneJob job = {};
  std::vector<JobCheckpoint> checkpoints = {};
  bool model_deleted = false;
  /// The checkpoint whose adapter is served in the result's place; unset: the result is.
  std::optional<int64_t> served_step = {};
  std::vector<JobEvent> events = {};
};

/// A folder for each job, with job.json (replaced as a whole) and events.jsonl (appended to). One
/// thread at a time.
class JobStore {
 public:
  using Note = std::function<void(std::string_view)>;
  /// Makes the folder if it is missing.
  explicit JobStore(std::filesystem::path folder);

  /// All jobs, in the order of their numbers. `note` is told of those that cannot be read.
  std::vector<JobRecord> load(const Note& note) const;
  /// Everything but the events. Makes the job's folder if it is missing.
  void save(const JobRecord& record) const;
  /// One more event; it outlives the process from here on.
  void append(std::string_view id, const JobEvent& event) const;
  std::filesystem::path folder(std::string_view id) const { return folder_ / std::string(id); }

 private:
  JobRecord read(const std::filesystem::path& folder) const;

  const std::filesystem::path folder_;
};

}  // namespace yiti::cli
