// Answers requests by the table of routes.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "serving/generation_task.h"
#include "serving/http.h"
#include "serving/kept_streams.h"
#include "serving/on_demand.h"
#include "serving/options.h"
#include "serving/routes.h"
#include "serving/text_routes.h"
#include "serving/training_routes.h"
#include "serving/worker.h"

namespace yiti::serving {

/// Thread-safe. Refuses all requests (503) until it is open.
class Router {
 public:
  /// `options` must outlive it.
  explicit Router(const ServerOptions& options);
  ~Router();

  /// From then on the options stay as they are. Once.
  void open() { is_open_ = true; }

  /// Why a request with this head (its body not read yet) is refused, if it is: 401, 403, 404, 405,
  /// 415. OPTIONS, too, is answered here.
  std::optional<HttpResponse> precheck(const HttpRequest& head) const;
  /// How many bytes the body of a request with this head may have, and the most that any may.
  int64_t body_limit(const HttpRequest& head) const;
  int64_t largest_body() const;
  /// A place for one of the few bodies above max_body_bytes; null where there is none left.
  std::shared_ptr<Place> begin_upload() const;
  /// Answers, or returns what is going to; may take the request's body. Does not throw.
  std::shared_ptr<Activity> handle(HttpRequest& request, Exchange& exchange) const;
  /// Adds the headers that every answer to `request` has: its id, and what lets pages read it.
  void complete(HttpResponse& response, const HttpRequest& request) const;

 private:
  int64_t upload_limit() const;
  template <class F>
  std::optional<HttpResponse> errors_as_responses(F f) const;
  /// `begin` with its errors as answers, for where nobody else catches them.
  BeginActivity answering(BeginActivity begin) const;
  /// What answers (null: it has already); nothing where answer() is to.
  std::optional<std::shared_ptr<Activity>> begin(const RouteMatch& match, HttpRequest& request,
                                                 Exchange& exchange) const;
  /// Whether a model on demand is not there yet.
  bool wants_model() const;
  std::shared_ptr<Activity> generate(Api api, const HttpRequest& request, Exchange& exchange) const;
  std::shared_ptr<Activity> resume_stream(const HttpRequest& request, Exchange& exchange) const;
  HttpResponse stop_stream(const HttpRequest& request) const;
  std::shared_ptr<Activity> embed(const HttpRequest& request, Exchange& exchange) const;
  HttpResponse answer(const RouteMatch& match, const HttpRequest& request) const;
  /// What /v1/models tells, and in which state it is.
  std::vector<ServedModelPtr> listed() const;
  const char* status() const;
  HttpResponse describe_model(const std::string& name) const;
  HttpResponse health() const;
  /// By `route`, of the model that the body names.
  HttpResponse answer_by(TextRoute route, const HttpRequest& request) const;
  HttpResponse slots(const ServedModel& model) const;
  HttpResponse index(const HttpRequest& request) const;
  /// The model of that name; where none is given, the only one that is no adapter.
  ServedModelPtr model(const std::string& name) const;
  ServedModelPtr model_asked_for(const HttpRequest& request) const;

  const ServerOptions& options_;
  std::atomic<bool> is_open_ = false;
  const std::shared_ptr<ModelRegistry> models_;
  const TrainingRoutes training_;
  const Services services_;
  const std::shared_ptr<Limiter> uploads_;
  const std::unique_ptr<OnDemandModel> on_demand_;  // null: all models are there when it opens
  const std::unique_ptr<Worker> worker_ = std::make_unique<Worker>();
  std::atomic<bool> ends_ = false;
  const std::unique_ptr<Worker> proxy_;  // null: off
  const std::unique_ptr<KeptStreams> kept_;
};

}  // namespace yiti::serving
