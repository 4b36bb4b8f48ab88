// One fine-tuning job as a training run: its folder, its options, its results.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/loader.h"
#include "models/lora.h"
#include "serving/job_runner.h"
#include "training/fine_tune.h"

namespace yiti::cli {

/// What lies where in a job's folder.
struct JobFiles {
  std::filesystem::path train, validation;  ///< the data, as they were when the job was made
  std::filesystem::path start;              ///< the adapter to go on from, where there is one
  std::filesystem::path run;                ///< what the run writes
  std::filesystem::path adapter;            ///< its result

  explicit JobFiles(const std::filesystem::path& folder);
  /// The adapter of a checkpoint.
  std::filesystem::path kept(int64_t step) const;
};

/// `defaults` with what the job says. The run goes on from a checkpoint where there is one.
FineTuneOptions run_options(const FineTuneOptions& defaults, const FineTuneJob& job,
                            const JobFiles& files);

/// The model that the job trains: `base` with its start adapter or a fresh one.
ModelPtr model_to_train(const LanguageModel& base, LoraConfig lora, const FineTuneJob& job,
                        const JobFiles& files);

/// Throws where the job's data cannot be trained on, naming the lines.
void check_data(const JobFiles& files, const TextModel& text, const FineTuneOptions& options,
                int64_t context_tokens);

/// Deletes checkpoints from which runs go on, but for the newest ones.
void remove_checkpoints(const std::filesystem::path& run, size_t kept);

/// OpenAI's result file: step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy.
std::string metrics_csv(const std::vector<JobEvent>& events);

}  // namespace yiti::cli
