#include "serving/fine_tuning.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "serving/request_fields.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <class T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

const char* status_name(JobStatus status) {
  switch (status) {
    case JobStatus::kQueued: return "queued";
    case JobStatus::kRunning: return "running";
    case JobStatus::kSucceeded: return "succeeded";
    case JobStatus::kFailed: return "failed";
    case JobStatus::kCancelled: return "cancelled";
  }
  return "failed";
}

Json error_of(const FineTuneJob& job) {
  if (job.error.empty()) return nullptr;
  return {{"code", "failed"}, {"message", job.error}, {"param", nullptr}};
}

Json to_json(const FineTuneJob& job) {
  return {{"id", job.id},
          {"object", "fine_tuning.job"},
          {"created_at", job.created_unix_s},
          {"finished_at", job.finished_unix_s == 0 ? Json(nullptr) : Json(job.finished_unix_s)},
          {"model", job.model},
          {"fine_tuned_model", text_or_null(job.fine_tuned_model)},
          {"status", status_name(job.status)},
          {"error", error_of(job)},
          {"trained_tokens", job.trained_tokens},
          {"training_file", job.training_file},
          {"validation_file", nullptr},
          {"result_files", Json::array()},
          {"hyperparameters", Json::object()},
          {"organization_id", ""},
          {"seed", job.seed},
          {"yiti",
           {{"step", job.step},
            {"total_steps", job.total_steps},
            {"loss", value_or_null(job.loss)},
            {"held_out_loss", value_or_null(job.held_out_loss)},
            {"version", job.version},
            {"system_fingerprint", text_or_null(job.fingerprint)}}}};
}

Json to_json(const JobEvent& event) {
  Json data = nullptr;
  if (event.step) {
    data = {{"step", *event.step}};
    if (event.loss) data["train_loss"] = *event.loss;
  }
  return {{"id", event.id},
          {"object", "fine_tuning.job.event"},
          {"created_at", event.created_unix_s},
          {"level", "info"},
          {"message", event.message},
          {"type", event.step ? "metrics" : "message"},
          {"data", std::move(data)}};
}

// The value of `name` in a query string, as it stands; empty where it is not there.
std::string_view query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
      return pair.substr(equals + 1);
    }
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
  }
  return {};
}

int64_t query_limit(std::string_view query) {
  const std::string_view text = query_value(query, "limit");
  if (text.empty()) return 20;
  int64_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error != std::errc() || end != text.data() + text.size() || limit < 1 || limit > 100) {
    reject_field("limit", "'limit' wants 1 to 100");
  }
  return limit;
}

// A page of `items` (oldest first), newest first.
template <class Item>
std::string page_json(const std::vector<Item>& items, std::string_view query) {
  const int64_t limit = query_limit(query);
  const std::string_view after = query_value(query, "after");
  auto it = items.rbegin();
  if (!after.empty()) {
    it = std::find_if(it, items.rend(), [&](const Item& item) { return item.id == after; });
    if (it == items.rend()) reject_field("after", "'after' names nothing in this list");
    ++it;
  }
  Json data = Json::array();
  for (; it != items.rend() && static_cast<int64_t>(data.size()) < limit; ++it) {
    data.push_back(to_json(*it));
  }
  const bool more = it != items.rend();
  return dump({{"object", "list"}, {"data", std::move(data)}, {"has_more", more}});
}

}  // namespace

std::string job_list_json(const std::vector<FineTuneJob>& jobs, std::string_view query) {
  return page_json(jobs, query);
}

std::string job_json(const FineTuneJob& job) { return dump(to_json(job)); }

std::string event_list_json(const std::vector<JobEvent>& events, std::string_view query) {
  return page_json(events, query);
}

}  // namespace yiti::serving
