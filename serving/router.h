// Which path is answered by what.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "serving/generation_task.h"
#include "serving/http.h"
#include "serving/options.h"

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
  /// Answers, or returns what is going to. Does not throw.
  std::shared_ptr<Activity> handle(const HttpRequest& request, Exchange& exchange) const;
  /// Adds the headers that every answer to `request` has: its id, and what lets pages read it.
  void complete(HttpResponse& response, const HttpRequest& request) const;

 private:
  struct Route;
  struct Match;
  std::optional<Match> find(std::string_view path) const;
  std::shared_ptr<Activity> generate(Api api, const HttpRequest& request, Exchange& exchange) const;
  std::shared_ptr<Activity> begin(const Match& match, const HttpRequest& request,
                                  Exchange& exchange) const;
  HttpResponse answer(const Match& match, const HttpRequest& request) const;
  HttpResponse health() const;
  HttpResponse slots() const;
  HttpResponse metrics() const;
  const ServedModel& model(const std::string& name) const;
  JobRunner& jobs() const;
  FineTuneJob job(const std::string& id) const;
  HttpResponse index(const HttpRequest& request) const;

  const ServerOptions& options_;
  const Services services_;
};

/// %XX to bytes; what is no such escape stays.
std::string percent_decode(std::string_view text);

}  // namespace yiti::serving
