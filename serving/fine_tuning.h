// The fine-tuning jobs in OpenAI's shape, with what yiti adds under "yiti". Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "serving/http.h"
#include "serving/job_runner.h"

namespace yiti::serving {

/// Newest first; `query` may hold limit (1 to 100, default 20) and after (an id).
/// Throws ApiException.
std::string job_list_json(const std::vector<FineTuneJob>& jobs, std::string_view query);
std::string job_json(const FineTuneJob& job);
std::string event_list_json(const std::vector<JobEvent>& events, std::string_view query);

}  // namespace yiti::serving
