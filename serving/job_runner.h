// Fine-tuning jobs as the server sees them; what trains implements it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace yiti {

enum class JobStatus : uint8_t { kQueued, kRunning, kSucceeded, kFailed, kCancelled };

struct FineTuneJob {
  std::string id;
  std::string model;             ///< what is fine-tuned
  std::string fine_tuned_model;  ///< the name to ask for; empty until there is one
  std::string training_file;
  JobStatus status = JobStatus::kQueued;
  std::string error;  ///< of a failed job
  int64_t created_unix_s = 0;
  int64_t finished_unix_s = 0;  ///< 0: not finished
  int64_t seed = 0;
  int64_t trained_tokens = 0;
  int64_t step = 0, total_steps = 0;
  std::optional<double> loss;           ///< of the last step
  std::optional<double> held_out_loss;  ///< of the last evaluation
  uint64_t version = 0;                 ///< of the parameters, published last
  std::string fingerprint;              ///< of that version
};

struct JobEvent {
  std::string id;
  int64_t created_unix_s = 0;
  std::string message;
  std::optional<int64_t> step;  ///< set in events that report a step
  std::optional<double> loss;
};

/// Thread-safe; calls return soon.
class JobRunner {
 public:
  virtual ~JobRunner() = default;
  /// Oldest first.
  virtual std::vector<FineTuneJob> jobs() = 0;
  virtual std::optional<FineTuneJob> job(std::string_view id) = 0;
  /// Oldest first; empty for a job that there is not.
  virtual std::vector<JobEvent> events(std::string_view id) = 0;
};

}  // namespace yiti
