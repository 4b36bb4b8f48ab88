#include "serving/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "serving/api_error.h"
#include "serving/fine_tuning.h"
#include "serving/generation_task.h"
#include "serving/openai_request.h"
#include "serving/openai_response.h"

namespace yiti::serving {
namespace {

enum class Target : uint8_t {
  kIndex,
  kHealth,
  kModels,
  kModel,
  kChat,
  kCompletions,
  kJobs,
  kJob,
  kJobEvents,
};

constexpr const char* kIndexText =
    "yiti: OpenAI-compatible inference, and the training beside it.\n"
    "\n"
    "POST /v1/chat/completions\n"
    "POST /v1/completions\n"
    "GET  /v1/models\n"
    "GET  /health\n";
constexpr const char* kIndexJobs =
    "GET  /v1/fine_tuning/jobs\n"
    "GET  /v1/fine_tuning/jobs/{id}\n"
    "GET  /v1/fine_tuning/jobs/{id}/events\n";

HttpResponse ok(std::string json) {
  HttpResponse response;
  response.body = std::move(json);
  return response;
}

bool is_json(std::string_view content_type) {
  constexpr std::string_view kJson = "application/json";
  const std::string_view type = content_type.substr(0, content_type.find_first_of("; "));
  return std::equal(type.begin(), type.end(), kJson.begin(), kJson.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

bool has_key(std::string_view authorization, std::string_view key) {
  constexpr std::string_view kBearer = "Bearer ";
  if (!authorization.starts_with(kBearer)) return false;
  return equal_in_constant_time(authorization.substr(kBearer.size()), key);
}

}  // namespace

struct Router::Route {
  std::string_view method;
  std::string_view prefix;
  std::string_view suffix;
  bool has_id;  // something stands between prefix and suffix
  Target target;
  bool is_public = false;  // needs no key
};

struct Router::Match {
  const Route* route;
  std::string id;
};

Router::Router(const ServerOptions& options)
    : options_(options), limiter_(std::make_shared<Limiter>(options.max_generations)) {}

Router::~Router() = default;

std::optional<Router::Match> Router::find(std::string_view path) const {
  static constexpr std::array<Route, 9> kRoutes = {{
      {"GET", "/", "", false, Target::kIndex, true},
      {"GET", "/health", "", false, Target::kHealth, true},
      {"GET", "/v1/models", "", false, Target::kModels},
      {"GET", "/v1/models/", "", true, Target::kModel},
      {"POST", "/v1/chat/completions", "", false, Target::kChat},
      {"POST", "/v1/completions", "", false, Target::kCompletions},
      {"GET", "/v1/fine_tuning/jobs", "", false, Target::kJobs},
      {"GET", "/v1/fine_tuning/jobs/", "/events", true, Target::kJobEvents},
      {"GET", "/v1/fine_tuning/jobs/", "", true, Target::kJob},
  }};
  for (const Route& route : kRoutes) {
    const size_t fixed = route.prefix.size() + route.suffix.size();
    if (!route.has_id) {
      if (path == route.prefix) return Match{&route, {}};
    } else if (path.size() > fixed && path.starts_with(route.prefix) &&
               path.ends_with(route.suffix)) {
      return Match{&route, percent_decode(path.substr(route.prefix.size(), path.size() - fixed))};
    }
  }
  return std::nullopt;
}

std::optional<HttpResponse> Router::precheck(const HttpRequest& head) const {
  const std::optional<Match> match = find(head.path);
  if (!match || !match->route->is_public) {
    if (!options_.api_key.empty() && !has_key(head.authorization, options_.api_key)) {
      return error_response({.status = 401,
                             .message = "The API key is missing or wrong; wants the header "
                                        "Authorization: Bearer KEY",
                             .code = "invalid_api_key"});
    }
  }
  if (!match) {
    return error_response(
        {.status = 404,
         .message = fmt::format("There is nothing at {} {}", head.method, head.path.substr(0, 256)),
         .code = "unknown_url"});
  }
  const std::string_view method = match->route->method;
  const std::string allow = method == "GET" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
  if (head.method == "OPTIONS") {
    return HttpResponse{
        .status = 204, .content_type = {}, .body = {}, .headers = {{"Allow", allow}}};
  }
  if (head.method != method && !(head.method == "HEAD" && method == "GET")) {
    HttpResponse response =
        error_response({.status = 405,
                        .message = fmt::format("{} takes {}, not {}", match->route->prefix, method,
                                               head.method.substr(0, 32)),
                        .code = "method_not_allowed"});
    response.headers.emplace_back("Allow", allow);
    return response;
  }
  // What a page from elsewhere can post without the browser asking first is not JSON by name.
  if (method == "POST" && !is_json(head.content_type)) {
    return error_response({.status = 415,
                           .message = fmt::format("Content-Type is '{}'; wants application/json",
                                                  head.content_type.substr(0, 128)),
                           .code = "unsupported_media_type"});
  }
  return std::nullopt;
}

std::shared_ptr<Activity> Router::handle(const HttpRequest& request, Exchange& exchange) const {
  HttpResponse response;
  try {
    if (auto refused = precheck(request)) {
      response = std::move(*refused);
    } else {
      const Match match = *find(request.path);
      if (match.route->target == Target::kChat) return generate(Api::kChat, request, exchange);
      if (match.route->target == Target::kCompletions) {
        return generate(Api::kCompletion, request, exchange);
      }
      response = get(match, request);
    }
  } catch (const ApiException& refused) {
    response = error_response(refused.error());
  } catch (const Error& error) {
    if (options_.log) options_.log(error.what());
    response = error_response(to_api_error(error));
  } catch (const std::bad_alloc&) {
    response = error_response({.status = 503, .message = "out of memory", .type = "server_error"});
  } catch (const std::exception& error) {
    if (options_.log) options_.log(error.what());
    response = error_response(to_api_error(Error(Code::kInternal, "serving", error.what())));
  }
  exchange.respond(std::move(response));
  return nullptr;
}

std::shared_ptr<Activity> Router::generate(Api api, const HttpRequest& request,
                                           Exchange& exchange) const {
  const ApiRequest parsed = parse_api_request(api, request.body);
  return GenerationTask::start(parsed, model(parsed.model), options_, limiter_, exchange);
}

HttpResponse Router::get(const Match& match, const HttpRequest& request) const {
  switch (match.route->target) {
    case Target::kIndex: return index();
    case Target::kHealth: return ok(R"({"status":"ok"})");
    case Target::kModels: return ok(model_list_json(options_.models));
    case Target::kModel: return ok(model_json(model(match.id)));
    case Target::kJobs: return ok(job_list_json(jobs().jobs(), request.query));
    case Target::kJob: return ok(job_json(job(match.id)));
    case Target::kJobEvents:
      return ok(event_list_json(jobs().events(job(match.id).id), request.query));
    case Target::kChat:
    case Target::kCompletions: break;
  }
  fail(Code::kInternal, "router", "a route without an answer");
}

const ServedModel& Router::model(const std::string& name) const {
  for (const ServedModel& one : options_.models) {
    if (one.name == name) return one;
  }
  throw ApiException({.status = 404,
                      .message = fmt::format("The model '{}' does not exist", name.substr(0, 256)),
                      .param = "model",
                      .code = "model_not_found"});
}

JobRunner& Router::jobs() const {
  if (options_.jobs == nullptr) {
    throw ApiException({.status = 404,
                        .message = "This server does not fine-tune",
                        .code = "fine_tuning_disabled"});
  }
  return *options_.jobs;
}

FineTuneJob Router::job(const std::string& id) const {
  if (auto found = jobs().job(id)) return *std::move(found);
  throw ApiException({.status = 404,
                      .message = fmt::format("There is no job '{}'", id.substr(0, 256)),
                      .param = "fine_tuning_job_id",
                      .code = "job_not_found"});
}

HttpResponse Router::index() const {
  HttpResponse response;
  response.content_type = "text/plain; charset=utf-8";
  response.body = kIndexText;
  if (options_.jobs != nullptr) response.body += kIndexJobs;
  response.body += "\nModels:\n";
  for (const ServedModel& one : options_.models) response.body += "  " + one.name + "\n";
  return response;
}

std::string percent_decode(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
      result += static_cast<char>(value);
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  unsigned char difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < given.size() && !secret.empty(); ++i) {
    difference |= static_cast<unsigned char>(given[i] ^ secret[i % secret.size()]);
  }
  return difference == 0;
}

}  // namespace yiti::serving
