// What a step of training tells of its job.
#pragma once

#include "serving/job_runner.h"
#include "training/fine_tune.h"

namespace yiti::cli {

/// Notes a step in its job; returns the step's metrics.
inline JobMetrics note_progress(FineTuneJob& job, const Progress& progress) {
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

}  // namespace yiti::cli
