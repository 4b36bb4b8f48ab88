// What a run of training tells of its job.
#pragma once

#include <optional>
#include <string>

#include "serving/job_runner.h"
#include "training/fine_tune.h"

namespace yiti::cli {

/// A job of this process's own, made now: its id, its data's names and its seed.
FineTuneJob make_job(const FineTuneOptions& options);

/// Notes a step in its job; returns the step's metrics.
JobMetrics note_progress(FineTuneJob& job, const Progress& progress);

/// A step in words.
std::string step_message(const JobMetrics& metrics);

/// The job's event of that number, which happens now.
JobEvent make_event(const FineTuneJob& job, size_t number, std::string message,
                    const std::optional<JobMetrics>& metrics);

}  // namespace yiti::cli
