#include "serving/router.h"

#include <fmt/format.h>

#include <algorithm>

#include "serving/api_error.h"
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
  kTraining,
};

/// What a request must send.
enum class Body : uint8_t { kNone, kJson, kForm };

using TrainingHandler = HttpResponse (TrainingRoutes::*)(const std::string& id,
                                                         const HttpRequest& request) const;

constexpr int64_t kMaxUploads = 4;

constexpr const char* kIndexText =
    "yiti: OpenAI-compatible inference, and the training beside it.\n"
    "\n"
    "POST /v1/chat/completions\n"
    "POST /v1/completions\n"
    "GET  /v1/models\n"
    "GET  /health\n";
constexpr const char* kIndexJobs =
    "POST /v1/files\n"
    "POST /v1/fine_tuning/jobs\n"
    "GET  /v1/fine_tuning/jobs/{id}\n"
    "GET  /v1/fine_tuning/jobs/{id}/events\n"
    "GET  /v1/fine_tuning/jobs/{id}/checkpoints\n";

HttpResponse ok(std::string json) {
  HttpResponse response;
  response.body = std::move(json);
  return response;
}

// Whether a Content-Type names this type, whatever its parameters.
bool is_type(std::string_view content_type, std::string_view wanted) {
  const std::string_view type = content_type.substr(0, content_type.find_first_of("; "));
  return std::equal(type.begin(), type.end(), wanted.begin(), wanted.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

const char* type_name(Body body) {
  return body == Body::kForm ? "multipart/form-data" : "application/json";
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
  Body body = Body::kNone;
  TrainingHandler training = nullptr;
  bool is_slow = false;  // answered apart from the threads that serve connections

  static constexpr Route of(TrainingHandler handler, std::string_view method,
                            std::string_view prefix, std::string_view suffix = "",
                            bool has_id = false, Body body = Body::kNone, bool is_slow = false) {
    return {method, prefix, suffix, has_id, Target::kTraining, false, body, handler, is_slow};
  }
  bool fits(std::string_view path) const {
    if (!has_id) return path == prefix;
    return path.size() > prefix.size() + suffix.size() && path.starts_with(prefix) &&
           path.ends_with(suffix);
  }
  bool takes(std::string_view given) const {
    return given == method || (given == "HEAD" && method == "GET");
  }
  std::string id_in(std::string_view path) const {
    if (!has_id) return {};
    return percent_decode(path.substr(prefix.size(), path.size() - prefix.size() - suffix.size()));
  }
};

struct Router::Match {
  const Route* route = nullptr;  // null: the path does not take the method
  std::string id;
  std::string allow;  // the methods that the path takes; empty: there is nothing there
};

Router::Router(const ServerOptions& options)
    : options_(options),
      models_(options.registry ? options.registry : std::make_shared<ModelRegistry>()),
      training_(options, *models_),
      limiter_(std::make_shared<Limiter>(options.max_generations)),
      uploads_(std::make_shared<Limiter>(kMaxUploads)) {
  for (const ServedModel& model : options.models) models_->add(model);
}

Router::~Router() = default;

Router::Match Router::find(std::string_view method, std::string_view path) const {
  using T = TrainingRoutes;
  static constexpr Route kRoutes[] = {
      {"GET", "/", "", false, Target::kIndex, true},
      {"GET", "/health", "", false, Target::kHealth, true},
      {"GET", "/v1/models", "", false, Target::kModels},
      {"GET", "/v1/models/", "", true, Target::kModel},
      {"POST", "/v1/chat/completions", "", false, Target::kChat, false, Body::kJson},
      {"POST", "/v1/completions", "", false, Target::kCompletions, false, Body::kJson},
      Route::of(&T::delete_model, "DELETE", "/v1/models/", "", true),
      Route::of(&T::load_adapter, "POST", "/v1/load_lora_adapter", "", false, Body::kJson, true),
      Route::of(&T::unload_adapter, "POST", "/v1/unload_lora_adapter", "", false, Body::kJson),
      Route::of(&T::upload_file, "POST", "/v1/files", "", false, Body::kForm, true),
      Route::of(&T::list_files, "GET", "/v1/files"),
      Route::of(&T::get_file_contents, "GET", "/v1/files/", "/content", true),
      Route::of(&T::get_file, "GET", "/v1/files/", "", true),
      Route::of(&T::delete_file, "DELETE", "/v1/files/", "", true),
      Route::of(&T::create_job, "POST", "/v1/fine_tuning/jobs", "", false, Body::kJson),
      Route::of(&T::list_jobs, "GET", "/v1/fine_tuning/jobs"),
      Route::of(&T::cancel_job, "POST", "/v1/fine_tuning/jobs/", "/cancel", true),
      Route::of(&T::pause_job, "POST", "/v1/fine_tuning/jobs/", "/pause", true),
      Route::of(&T::resume_job, "POST", "/v1/fine_tuning/jobs/", "/resume", true),
      Route::of(&T::list_events, "GET", "/v1/fine_tuning/jobs/", "/events", true),
      Route::of(&T::list_checkpoints, "GET", "/v1/fine_tuning/jobs/", "/checkpoints", true),
      Route::of(&T::get_job, "GET", "/v1/fine_tuning/jobs/", "", true),
  };
  Match match;
  for (const Route& route : kRoutes) {
    if (!route.fits(path)) continue;
    if (route.takes(method)) return {&route, route.id_in(path), {}};
    if (match.allow.find(route.method) != std::string::npos) continue;
    match.allow += route.method == "GET" ? "GET, HEAD, " : std::string(route.method) + ", ";
  }
  if (!match.allow.empty()) match.allow += "OPTIONS";
  return match;
}

std::optional<HttpResponse> Router::precheck(const HttpRequest& head) const {
  const Match match = find(head.method, head.path);
  if (match.route == nullptr || !match.route->is_public) {
    if (!options_.api_key.empty() && !has_key(head.authorization, options_.api_key)) {
      return error_response({.status = 401,
                             .message = "The API key is missing or wrong; wants the header "
                                        "Authorization: Bearer KEY",
                             .code = "invalid_api_key"});
    }
  }
  if (match.route == nullptr) return refuse(match, head);
  // What a page from elsewhere can post without the browser asking first is not JSON by name.
  const Body body = match.route->body;
  if (body != Body::kNone && !is_type(head.content_type, type_name(body))) {
    return error_response(
        {.status = 415,
         .message = fmt::format("Content-Type is '{}'; wants {}", head.content_type.substr(0, 128),
                                type_name(body)),
         .code = "unsupported_media_type"});
  }
  // Nor are these: what a browser sends of its own accord must come from a page of this server.
  if (match.route->method == "POST" && body != Body::kJson && head.is_cross_site) {
    return error_response({.status = 403,
                           .message = "The request comes from a page of another site",
                           .code = "cross_site"});
  }
  return std::nullopt;
}

HttpResponse Router::refuse(const Match& match, const HttpRequest& head) {
  if (match.allow.empty()) {
    return error_response(
        {.status = 404,
         .message = fmt::format("There is nothing at {} {}", head.method, head.path.substr(0, 256)),
         .code = "unknown_url"});
  }
  if (head.method == "OPTIONS") {
    return {.status = 204, .content_type = {}, .body = {}, .headers = {{"Allow", match.allow}}};
  }
  HttpResponse response =
      error_response({.status = 405,
                      .message = fmt::format("{} takes {}, not {}", head.path.substr(0, 256),
                                             match.allow, head.method.substr(0, 32)),
                      .code = "method_not_allowed"});
  response.headers.emplace_back("Allow", match.allow);
  return response;
}

int64_t Router::upload_limit() const {
  constexpr int64_t kRoomForTheForm = 64 << 10;
  if (options_.files == nullptr) return options_.max_body_bytes;
  return options_.files->options().max_file_bytes + kRoomForTheForm;
}

int64_t Router::body_limit(const HttpRequest& head) const {
  const Match match = find(head.method, head.path);
  const bool uploads = match.route != nullptr && match.route->body == Body::kForm;
  return uploads ? upload_limit() : options_.max_body_bytes;
}

int64_t Router::largest_body() const { return std::max(options_.max_body_bytes, upload_limit()); }

std::shared_ptr<Place> Router::begin_upload() const {
  return uploads_->acquire(1) ? std::make_shared<Place>(uploads_) : nullptr;
}

// What `f` returns, or the response that its error makes.
template <class F>
std::optional<HttpResponse> Router::errors_as_responses(F f) const {
  try {
    return f();
  } catch (const ApiException& refused) {
    return error_response(refused.error());
  } catch (const Error& error) {
    if (options_.log) options_.log(error.what());
    return error_response(to_api_error(error));
  } catch (const std::bad_alloc&) {
    return error_response({.status = 503, .message = "out of memory", .type = "server_error"});
  } catch (const std::exception& error) {
    if (options_.log) options_.log(error.what());
    return error_response(to_api_error(Error(Code::kInternal, "serving", error.what())));
  }
}

std::shared_ptr<Activity> Router::handle(HttpRequest& request, Exchange& exchange) const {
  std::shared_ptr<Activity> activity;
  auto response = errors_as_responses([&]() -> std::optional<HttpResponse> {
    if (auto refused = precheck(request)) return refused;
    const Match match = find(request.method, request.path);
    if (match.route->target == Target::kChat) {
      activity = generate(Api::kChat, request, exchange);
    } else if (match.route->target == Target::kCompletions) {
      activity = generate(Api::kCompletion, request, exchange);
    } else if (match.route->is_slow) {
      std::string body = std::move(request.body);
      const auto taken = std::make_shared<HttpRequest>(request);
      taken->body = std::move(body);
      activity = worker_->answer(exchange, [this, match, taken] {
        return *errors_as_responses([&] { return get(match, *taken); });
      });
    } else {
      return get(match, request);
    }
    return std::nullopt;
  });
  if (response) exchange.respond(*std::move(response));
  return activity;
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
    case Target::kModels: return ok(model_list_json(models_->list()));
    case Target::kModel: return ok(model_json(*model(match.id)));
    case Target::kTraining: return (training_.*match.route->training)(match.id, request);
    case Target::kChat:
    case Target::kCompletions: break;
  }
  fail(Code::kInternal, "router", "a route without an answer");
}

ServedModelPtr Router::model(const std::string& name) const {
  if (ServedModelPtr found = models_->find(name)) return found;
  throw ApiException({.status = 404,
                      .message = fmt::format("The model '{}' does not exist", name.substr(0, 256)),
                      .param = "model",
                      .code = "model_not_found"});
}

HttpResponse Router::index() const {
  HttpResponse response;
  response.content_type = "text/plain; charset=utf-8";
  response.body = kIndexText;
  if (options_.jobs != nullptr) response.body += kIndexJobs;
  response.body += "\nModels:\n";
  for (const ServedModelPtr& one : models_->list()) response.body += "  " + one->name + "\n";
  return response;
}

bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  unsigned char difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < given.size() && !secret.empty(); ++i) {
    difference |= static_cast<unsigned char>(given[i] ^ secret[i % secret.size()]);
  }
  return difference == 0;
}

}  // namespace yiti::serving
