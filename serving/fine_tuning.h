// The fine-tuning API in OpenAI's shapes (reference of 2025), with what yiti adds under "yiti".
// Pure functions; all throw ApiException for what makes no sense, and return JSON text.
#pragma once

#include <string>
#include <string_view>

#include "serving/job_runner.h"

namespace yiti::serving {

/// The body of a request for a job. Hyperparameters stand at its top or under method.supervised,
/// each a number or "auto". What is not supported is refused by its name.
JobRequest parse_job_request(std::string_view body);

/// Newest first; `query` may hold limit and after (an id).
std::string job_list_json(const std::vector<FineTuneJob>& jobs, std::string_view query);
std::string job_json(const FineTuneJob& job);
std::string event_list_json(const std::vector<JobEvent>& events, std::string_view query);
std::string checkpoint_list_json(const std::vector<JobCheckpoint>& checkpoints,
                                 std::string_view job_id, std::string_view query);

}  // namespace yiti::serving
