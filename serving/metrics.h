// What a server counts, in Prometheus' text format.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/generator.h"
#include "serving/model_registry.h"

namespace yiti::serving {

/// Observations in buckets.
class Histogram {
 public:
  /// `bounds` ascending; what is larger counts only in the bucket of all.
  explicit Histogram(std::vector<double> bounds);
  void observe(double value);
  void write(std::string& out, std::string_view name, std::string_view labels) const;

 private:
  std::vector<double> bounds_;
  std::vector<int64_t> counts_;  // of each bucket alone; one more than the bounds
  double sum_ = 0;
};

/// What was counted of a model's requests.
struct ModelCounts {
  ModelCounts();
  Histogram time_to_first_token, inter_token, end_to_end, queue, prefill, decode;
  Histogram prompt_lengths, generation_lengths;
  int64_t prompt_tokens = 0, generation_tokens = 0, cached_tokens = 0, failures = 0;
  DraftCounts drafts;
  uint64_t version = 0;
  std::map<std::string, int64_t, std::less<>> finished;  ///< by reason
};

/// Each model's requests. Names and meanings are vLLM's (its docs on metrics, V1) where it has the
/// same; others begin with yiti. What was counted of a model goes with its name. Thread-safe.
class Metrics {
 public:
  explicit Metrics(std::shared_ptr<const ModelRegistry> models) : served_(std::move(models)) {}

  void first_token(const std::string& model, double since_submit_s);
  void next_token(const std::string& model, double since_last_s);
  void finished(const std::string& model, const Generation& generation, std::string_view reason,
                int64_t generated, double since_submit_s);
  void failed(const std::string& model);

  /// Everything, with what the models' generators are doing. `unloaded`: the requests that wait
  /// for a model on demand, where there is one.
  std::string text(std::optional<int64_t> unloaded);

 private:
  /// With mutex_.
  ModelCounts& of(const std::string& name);

  const std::shared_ptr<const ModelRegistry> served_;
  std::mutex mutex_;
  std::map<std::string, ModelCounts> models_;  // with mutex_
};

}  // namespace yiti::serving
