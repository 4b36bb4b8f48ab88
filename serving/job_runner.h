// Fine-tuning jobs as the server sees them; what trains implements it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/model_versions.h"

namespace yiti {

enum class JobStatus : uint8_t {
  kValidatingFiles,
  kQueued,
  kRunning,
  kPaused,
  kSucceeded,
  kFailed,
  kCancelled,
};

/// OpenAI's name: "validating_files", "queued", …
std::string_view status_name(JobStatus status);
/// Throws kInvalidArgument for another name.
JobStatus parse_status(std::string_view name);
/// Whether a job of this status is over.
bool is_final(JobStatus status);

/// What is unset is chosen by the runner ("auto").
struct Hyperparameters {
  std::optional<int64_t> n_epochs = {};
  std::optional<int64_t> batch_size = {};  ///< examples in a step
  std::optional<double> learning_rate_multiplier = {};
};

struct JobRequest {
  std::string model = {};
  std::string training_file = {};    ///< an id of the file store
  std::string validation_file = {};  ///< empty: none
  std::string suffix = {};
  std::optional<int64_t> seed = {};
  Hyperparameters hyperparameters = {};
  std::map<std::string, std::string> metadata = {};
};

struct JobError {
  std::string code = {};
  std::string message = {};
  std::string param = {};  ///< the field at fault; may be empty
};

struct FineTuneJob {
  std::string id = {};
  std::string model = {};             ///< what is fine-tuned
  std::string fine_tuned_model = {};  ///< the name to ask for; empty until there is one
  std::string training_file = {}, validation_file = {};
  std::string suffix = {};
  std::string organization = {};
  std::vector<std::string> result_files = {};
  JobStatus status = JobStatus::kQueued;
  JobError error = {};  ///< of a failed job
  int64_t created_unix_s = 0;
  int64_t finished_unix_s = 0;  ///< 0: not finished
  int64_t seed = 0;
  Hyperparameters hyperparameters = {};
  std::map<std::string, std::string> metadata = {};
  int64_t trained_tokens = 0;
  int64_t step = 0, total_steps = 0;
  double seconds_left = 0;          ///< of a running job, as far as it is known; 0: it is not
  std::optional<double> loss = {};  ///< of the last step
  std::optional<double> held_out_loss = {};  ///< of the last evaluation
  uint64_t version = 0;                      ///< of the parameters, published last
  std::string fingerprint = {};              ///< of that version
};

struct JobMetrics {
  int64_t step = 0, total_steps = 0;
  std::optional<double> train_loss = {}, train_accuracy = {};
  std::optional<double> valid_loss = {}, valid_accuracy = {};
};

struct JobEvent {
  std::string id = {};
  int64_t created_unix_s = 0;
  std::string level = "info";  ///< info, warn or error
  std::string message = {};
  std::optional<JobMetrics> metrics = {};  ///< of an event that reports a step
};

struct JobCheckpoint {
  std::string id = {};
  int64_t created_unix_s = 0;
  std::string model = {};  ///< the name to ask for
  JobMetrics metrics = {};
};

/// Thread-safe; calls return soon. What names a job throws kNotFound where there is none. The
/// versions of a model that a job made are its checkpoints and the result, by their steps.
class JobRunner : public ModelVersions {
 public:
  /// Oldest first, as all lists here.
  virtual std::vector<FineTuneJob> jobs() = 0;
  virtual FineTuneJob job(std::string_view id) = 0;
  virtual std::vector<JobEvent> events(std::string_view id) = 0;
  virtual std::vector<JobCheckpoint> checkpoints(std::string_view id) = 0;

  /// Queues a job behind the others. Throws kNotFound for a file or a model that there is not,
  /// kFailedPrecondition where this process cannot train it.
  virtual FineTuneJob create(const JobRequest& request) = 0;
  /// Throw kFailedPrecondition in a status from which there is no way to the one wanted.
  virtual FineTuneJob cancel(std::string_view id) = 0;
  virtual FineTuneJob pause(std::string_view id) = 0;
  virtual FineTuneJob resume(std::string_view id) = 0;

  /// Deletes a model that a job made, a checkpoint's too, with its files. False where no job did.
  /// Throws kFailedPrecondition for a checkpoint that another model serves.
  virtual bool remove_model(std::string_view name) = 0;
};

}  // namespace yiti
