#include "cli/job_progress.h"

#include <fmt/format.h>

#include "core/unix_time.h"
#include "serving/random_id.h"

namespace yiti::cli {

FineTuneJob make_job(const FineTuneOptions& options) {
  FineTuneJob job;
  job.id = "ftjob-" + serving::random_hex(3);
  job.training_file = options.train_data.filename().string();
  job.validation_file = options.eval_data.filename().string();
  job.created_unix_s = now_unix_s();
  job.seed = static_cast<int64_t>(options.seed);
  return job;
}

JobMetrics note_progress(FineTuneJob& job, const Progress& progress) {
  job.step = progress.step;
  job.total_steps = progress.total_steps;
  job.loss = progress.loss;
  job.held_out_loss = progress.eval_loss;
  job.trained_tokens = progress.tokens;
  const auto done = static_cast<double>(progress.step - progress.first_step);
  job.seconds_left =
      progress.elapsed_s / done * static_cast<double>(progress.total_steps - progress.step);
  JobMetrics metrics = {.step = progress.step, .total_steps = progress.total_steps};
  metrics.train_loss = progress.loss;
  metrics.train_accuracy = progress.accuracy;
  if (progress.evaluated) metrics.valid_loss = progress.eval_loss;
  metrics.valid_accuracy = progress.eval_accuracy;
  return metrics;
}

std::string step_message(const JobMetrics& metrics) {
  std::string message = fmt::format("Step {}/{}", metrics.step, metrics.total_steps);
  if (metrics.train_loss) message += fmt::format(": training loss={:.4f}", *metrics.train_loss);
  if (metrics.valid_loss) message += fmt::format(", validation loss={:.4f}", *metrics.valid_loss);
  return message;
}

JobEvent make_event(const FineTuneJob& job, size_t number, std::string message,
                    const std::optional<JobMetrics>& metrics) {
  return {.id = fmt::format("ftevent-{}-{}", job.id.substr(job.id.find('-') + 1), number),
          .created_unix_s = now_unix_s(),
          .level = job.status == JobStatus::kFailed ? "error" : "info",
          .message = std::move(message),
          .metrics = metrics};
}

}  // namespace yiti::cli
