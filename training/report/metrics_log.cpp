#include "training/report/metrics_log.h"

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace yiti {
namespace {

constexpr std::string_view kWhere = "metrics log";

template <class T>
void add(nlohmann::ordered_json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}

}  // namespace

std::string metrics_json(const Metrics& metrics) {
  nlohmann::ordered_json json;
  json["step"] = metrics.step;
  add(json, "epoch", metrics.epoch);
  add(json, "loss", metrics.loss);
  add(json, "learning_rate", metrics.learning_rate);
  add(json, "grad_norm", metrics.grad_norm);
  add(json, "tokens", metrics.tokens);
  add(json, "tokens_per_second", metrics.tokens_per_second);
  add(json, "eval_loss", metrics.eval_loss);
  add(json, "version", metrics.version);
  return json.dump();
}

MetricsLog::MetricsLog(const std::filesystem::path& path, bool append)
    : path_(path.string()), file_(path, append ? std::ios::app : std::ios::trunc) {
  if (!file_) fail(Code::kNotFound, kWhere, "{} cannot be opened for writing", path_);
}

void MetricsLog::write(const Metrics& metrics) {
  file_ << metrics_json(metrics) << '\n' << std::flush;
  if (!file_) fail(Code::kDataLoss, kWhere, "{} cannot be written; is the disk full?", path_);
}

}  // namespace yiti
