#include "serving/job_runner.h"

#include <array>
#include <utility>

#include "core/error.h"

namespace yiti {
namespace {

constexpr std::array<std::pair<JobStatus, std::string_view>, 7> kNames = {{
    {JobStatus::kValidatingFiles, "validating_files"},
    {JobStatus::kQueued, "queued"},
    {JobStatus::kRunning, "running"},
    {JobStatus::kPaused, "paused"},
    {JobStatus::kSucceeded, "succeeded"},
    {JobStatus::kFailed, "failed"},
    {JobStatus::kCancelled, "cancelled"},
}};

}  // namespace

std::string_view status_name(JobStatus status) {
  for (const auto& [one, name] : kNames) {
    if (one == status) return name;
  }
  fail(Code::kInternal, "job", "status {} has no name", static_cast<int>(status));
}

JobStatus parse_status(std::string_view name) {
  for (const auto& [status, one] : kNames) {
    if (one == name) return status;
  }
  fail(Code::kInvalidArgument, "job", "there is no status '{}'", name.substr(0, 64));
}

bool is_final(JobStatus status) {
  return status == JobStatus::kSucceeded || status == JobStatus::kFailed ||
         status == JobStatus::kCancelled;
}

}  // namespace yiti
