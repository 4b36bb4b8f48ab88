// Which path is answered by what.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "serving/http.h"
#include "serving/limiter.h"
#include "serving/openai_request.h"
#include "serving/options.h"
#include "serving/query.h"
#include "serving/training_routes.h"
#include "serving/worker.h"

namespace yiti::serving {

/// Thread-safe.
class Router {
 public:
  /// `options` must outlive it.
  explicit Router(const ServerOptions& options);
  ~Router();

  /// Why a request with this head (its body not read yet) is refused, if it is: 401, 404, 405, 415.
  /// OPTIONS, too, is answered here.
  std::optional<HttpResponse> precheck(const HttpRequest& head) const;
  /// How many bytes the body of a request with this head may have, and the most that any may.
  int64_t body_limit(const HttpRequest& head) const;
  int64_t largest_body() const;
  /// A place for one of the few bodies above max_body_bytes; null where there is none left.
  std::shared_ptr<Place> begin_upload() const;
  /// Answers, or returns what is going to; may take the request's body. Does not throw.
  std::shared_ptr<Activity> handle(HttpRequest& request, Exchange& exchange) const;

 private:
  struct Route;
  struct Match;
  Match find(std::string_view method, std::string_view path) const;
  int64_t upload_limit() const;
  static HttpResponse refuse(const Match& match, const HttpRequest& head);
  std::shared_ptr<Activity> generate(Api api, const HttpRequest& request, Exchange& exchange) const;
  template <class F>
  std::optional<HttpResponse> errors_as_responses(F f) const;
  HttpResponse get(const Match& match, const HttpRequest& request) const;
  ServedModelPtr model(const std::string& name) const;
  HttpResponse index() const;

  const ServerOptions& options_;
  const std::shared_ptr<ModelRegistry> models_;
  const TrainingRoutes training_;
  const std::shared_ptr<Limiter> limiter_, uploads_;
  const std::unique_ptr<Worker> worker_ = std::make_unique<Worker>();
};

/// Takes as long for any `given` of one length, however much of it is right.
bool equal_in_constant_time(std::string_view given, std::string_view secret);

}  // namespace yiti::serving
