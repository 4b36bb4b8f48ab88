// A model that is loaded when a request first wants it, and the requests that wait until it is.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "serving/http.h"
#include "serving/limiter.h"
#include "serving/model_registry.h"
#include "serving/options.h"
#include "serving/worker.h"

namespace yiti::serving {

class HeldRequest;

/// Thread-safe. Its end waits for a load under way.
class OnDemandModel {
 public:
  enum class State : uint8_t { kUnloaded, kLoading, kLoaded };

  /// The loaded model is added to `models`. As many requests may wait as `limiter` has places.
  /// `log` may be null.
  OnDemandModel(ModelOnDemand wanted, std::shared_ptr<ModelRegistry> models,
                std::shared_ptr<Limiter> limiter, std::function<void(std::string_view)> log);
  ~OnDemandModel();

  /// What is told of it before it is there.
  const ServedModelPtr& promise() const { return promise_; }
  State state() const;
  /// Requests that wait for it.
  int64_t waiting() const;
  /// Calls `begin`, which must not throw, on the exchange's strand once the model is there, and
  /// sees to it that it is loaded; a load that fails is an answer of 503, and the next request
  /// tries again. Throws ApiException (429) where too many wait.
  std::shared_ptr<Activity> begin_when_loaded(BeginActivity begin, Exchange& exchange);

 private:
  void load();

  const std::function<ServedModel()> load_;
  const ServedModelPtr promise_;
  const std::shared_ptr<ModelRegistry> models_;
  const std::shared_ptr<Limiter> limiter_;
  const std::function<void(std::string_view)> log_;
  mutable std::mutex mutex_;
  State state_ = State::kUnloaded;                  // with mutex_
  std::vector<std::shared_ptr<HeldRequest>> held_;  // with mutex_
  Worker worker_;                                   // the last: ends first
};

/// "unloaded", "loading" or "loaded", as llama.cpp's router has it.
const char* state_name(OnDemandModel::State state);

}  // namespace yiti::serving
