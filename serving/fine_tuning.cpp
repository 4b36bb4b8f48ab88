#include "serving/fine_tuning.h"

#include "core/unix_time.h"
#include "serving/json_text.h"
#include "serving/query.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <class T>
Json value_or_auto(const std::optional<T>& value) {
  return value ? Json(*value) : Json("auto");
}

Json time_or_null(int64_t unix_s) { return unix_s == 0 ? Json(nullptr) : Json(unix_s); }

Json to_json(const JobError& error) {
  if (error.message.empty()) return nullptr;
  return {{"code", error.code}, {"message", error.message}, {"param", text_or_null(error.param)}};
}

Json to_json(const Hyperparameters& values) {
  return {{"n_epochs", value_or_auto(values.n_epochs)},
          {"batch_size", value_or_auto(values.batch_size)},
          {"learning_rate_multiplier", value_or_auto(values.learning_rate_multiplier)}};
}

Json estimated_finish(const FineTuneJob& job) {
  if (job.status != JobStatus::kRunning || job.seconds_left <= 0) return nullptr;
  return now_unix_s() + static_cast<int64_t>(job.seconds_left);
}

Json to_json(const FineTuneJob& job) {
  const Json hyperparameters = to_json(job.hyperparameters);
  return {
      {"id", job.id},
      {"object", "fine_tuning.job"},
      {"created_at", job.created_unix_s},
      {"finished_at", time_or_null(job.finished_unix_s)},
      {"model", job.model},
      {"fine_tuned_model", text_or_null(job.fine_tuned_model)},
      {"status", status_name(job.status)},
      {"error", to_json(job.error)},
      {"trained_tokens", is_final(job.status) ? Json(job.trained_tokens) : Json(nullptr)},
      {"training_file", job.training_file},
      {"validation_file", text_or_null(job.validation_file)},
      {"result_files", job.result_files},
      {"hyperparameters", hyperparameters},
      {"method", {{"type", "supervised"}, {"supervised", {{"hyperparameters", hyperparameters}}}}},
      {"organization_id", job.organization},
      {"user_provided_suffix", text_or_null(job.suffix)},
      {"seed", job.seed},
      {"estimated_finish", estimated_finish(job)},
      {"integrations", Json::array()},
      {"metadata", job.metadata},
      {"yiti",
       {{"step", job.step},
        {"total_steps", job.total_steps},
        {"tokens", job.trained_tokens},
        {"loss", value_or_null(job.loss)},
        {"held_out_loss", value_or_null(job.held_out_loss)},
        {"version", job.version},
        {"system_fingerprint", text_or_null(job.fingerprint)}}}};
}

// What is not known is left out.
Json to_json(const JobMetrics& metrics) {
  Json json = {{"step", metrics.step}};
  const auto add = [&](const char* name, const std::optional<double>& value) {
    if (value) json[name] = *value;
  };
  add("train_loss", metrics.train_loss);
  add("train_mean_token_accuracy", metrics.train_accuracy);
  add("valid_loss", metrics.valid_loss);
  add("valid_mean_token_accuracy", metrics.valid_accuracy);
  return json;
}

Json to_json(const JobEvent& event) {
  Json data = Json::object();
  if (event.metrics) {
    data = to_json(*event.metrics);
    data["total_steps"] = event.metrics->total_steps;
  }
  return {{"id", event.id},
          {"object", "fine_tuning.job.event"},
          {"created_at", event.created_unix_s},
          {"level", event.level},
          {"message", event.message},
          {"type", event.metrics ? "metrics" : "message"},
          {"data", std::move(data)}};
}

}  // namespace

std::string job_list_json(const std::vector<FineTuneJob>& jobs, std::string_view query) {
  return json_text(page_json(jobs, read_page(query, 20, 100),
                             [](const FineTuneJob& job) { return to_json(job); }));
}

std::string job_json(const FineTuneJob& job) { return json_text(to_json(job)); }

std::string event_list_json(const std::vector<JobEvent>& events, std::string_view query) {
  return json_text(page_json(events, read_page(query, 20, 1000),
                             [](const JobEvent& event) { return to_json(event); }));
}

std::string checkpoint_list_json(const std::vector<JobCheckpoint>& checkpoints,
                                 std::string_view job_id, std::string_view query) {
  const auto checkpoint_json = [job_id](const JobCheckpoint& checkpoint) {
    return Json{{"id", checkpoint.id},
                {"object", "fine_tuning.job.checkpoint"},
                {"created_at", checkpoint.created_unix_s},
                {"fine_tuning_job_id", job_id},
                {"fine_tuned_model_checkpoint", checkpoint.model},
                {"step_number", checkpoint.metrics.step},
                {"metrics", to_json(checkpoint.metrics)}};
  };
  return json_text(page_json(checkpoints, read_page(query, 10, 100), checkpoint_json));
}

}  // namespace yiti::serving
