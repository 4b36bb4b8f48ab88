#include "serving/on_demand.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "serving/api_error.h"
#include "serving/exchange_link.h"

namespace yiti::serving {
namespace {

ApiError not_loaded_error() {
  return {.status = 503,
          .message = "The model could not be loaded; the server's log says why.",
          .type = "server_error",
          .code = "model_not_loaded"};
}

}  // namespace

/// Shared by its exchange's strand and the thread that loads.
class HeldRequest final : public Activity, public std::enable_shared_from_this<HeldRequest> {
 public:
  HeldRequest(BeginActivity begin, Exchange& exchange, std::shared_ptr<Limiter> limiter)
      : begin_(std::move(begin)), place_(std::move(limiter)), link_(exchange) {}

  void client_gone() override {
    take();
    if (activity_ != nullptr) activity_->client_gone();
  }

  void shut_down() override {
    if (Exchange* const exchange = take()) {
      exchange->respond(error_response(stopping_error()));
    } else if (activity_ != nullptr) {
      activity_->shut_down();
    }
  }

  bool waits() const { return link_.get() != nullptr; }

  // From any thread.
  void go_on(std::optional<ApiError> refused) {
    link_.post([self = shared_from_this(), refused = std::move(refused)] {
      Exchange* const exchange = self->take();
      if (exchange == nullptr) return;
      if (refused) return exchange->respond(error_response(*refused));
      self->activity_ = self->begin_(*exchange);
    });
  }

 private:
  Exchange* take() {
    place_.release();
    return link_.take();
  }

  const BeginActivity begin_;
  std::shared_ptr<Activity> activity_;  // what answers in the end; on the strand
  Place place_;
  ExchangeLink link_;  // cut: it waits no longer
};

OnDemandModel::OnDemandModel(ModelOnDemand wanted, std::shared_ptr<ModelRegistry> models,
                             std::shared_ptr<Limiter> limiter,
                             std::function<void(std::string_view)> log)
    : load_(std::move(wanted.load)),
      promise_(std::make_shared<const ServedModel>(std::move(wanted.promise))),
      models_(std::move(models)),
      limiter_(std::move(limiter)),
      log_(std::move(log)) {
  check(load_ != nullptr && !promise_->name.empty(), "server",
        "a model on demand wants a name and a function that loads it");
}

OnDemandModel::~OnDemandModel() = default;

OnDemandModel::State OnDemandModel::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

int64_t OnDemandModel::waiting() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::count_if(held_, [](const auto& one) { return one->waits(); });
}

std::shared_ptr<Activity> OnDemandModel::begin_when_loaded(BeginActivity begin,
                                                           Exchange& exchange) {
  std::unique_lock lock(mutex_);
  if (state_ == State::kLoaded) {
    lock.unlock();
    return begin(exchange);
  }
  if (!limiter_->acquire(1)) {
    throw ApiException(busy_error("Too many requests wait for the model; try again soon."));
  }
  auto held = std::make_shared<HeldRequest>(std::move(begin), exchange, limiter_);
  held_.push_back(held);
  if (std::exchange(state_, State::kLoading) == State::kUnloaded) {
    worker_.post([this] { load(); });
  }
  return held;
}

void OnDemandModel::load() {
  std::optional<ApiError> refused;
  try {
    models_->add(load_());
  } catch (const std::exception& error) {
    if (log_) log_(std::string("cannot load the model: ") + error.what());
    refused = not_loaded_error();
  }
  std::vector<std::shared_ptr<HeldRequest>> held;
  {
    const std::lock_guard lock(mutex_);
    state_ = refused ? State::kUnloaded : State::kLoaded;
    held.swap(held_);
  }
  for (const auto& one : held) one->go_on(refused);
}

const char* state_name(OnDemandModel::State state) {
  switch (state) {
    case OnDemandModel::State::kUnloaded: return "unloaded";
    case OnDemandModel::State::kLoading: return "loading";
    case OnDemandModel::State::kLoaded: break;
  }
  return "loaded";
}

}  // namespace yiti::serving
