#include "serving/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "serving/access.h"
#include "serving/api_error.h"
#include "serving/embeddings.h"
#include "serving/fine_tuning.h"
#include "serving/openai_response.h"
#include "serving/page.h"
#include "serving/text_routes.h"

namespace yiti::serving {
namespace {

enum class Target : uint8_t {
  kIndex,
  kPage,
  kHealth,
  kModels,
  kModel,
  kChat,
  kCompletions,
  kResponses,
  kNative,
  kEmbeddings,
  kTokenize,
  kDetokenize,
  kTemplate,
  kCountInput,
  kMetrics,
  kProps,
  kSlots,
  kJobs,
  kJob,
  kJobEvents,
};

constexpr const char* kIndexText =
    "yiti: OpenAI-compatible inference, and the training beside it.\n"
    "\n"
    "POST /v1/chat/completions\n"
    "POST /v1/completions\n"
    "POST /v1/responses\n"
    "POST /v1/embeddings\n"
    "POST /tokenize, /detokenize, /apply-template\n"
    "GET  /v1/models\n"
    "GET  /metrics\n"
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

// What a browser asks before it lets a page ask; it has no key yet.
bool is_preflight(const HttpRequest& head) {
  return head.method == "OPTIONS" && head.is_preflight && !head.origin.empty();
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
    : options_(options),
      services_{options, std::make_shared<Limiter>(options.max_generations),
                std::make_shared<Metrics>()} {}

Router::~Router() = default;

std::optional<Router::Match> Router::find(std::string_view path) const {
  static constexpr auto kRoutes = std::to_array<Route>({
      {"GET", "/", "", false, Target::kIndex, true},
      {"GET", "/page/", "", true, Target::kPage, true},
      {"GET", "/health", "", false, Target::kHealth, true},
      {"GET", "/v1/models", "", false, Target::kModels},
      {"GET", "/v1/models/", "", true, Target::kModel},
      {"POST", "/v1/chat/completions", "", false, Target::kChat},
      {"POST", "/v1/completions", "", false, Target::kCompletions},
      {"POST", "/v1/responses", "", false, Target::kResponses},
      {"POST", "/v1/embeddings", "", false, Target::kEmbeddings},
      {"POST", "/tokenize", "", false, Target::kTokenize},
      {"POST", "/detokenize", "", false, Target::kDetokenize},
      {"GET", "/metrics", "", false, Target::kMetrics},
      // llama.cpp's.
      {"GET", "/v1/health", "", false, Target::kHealth, true},
      {"GET", "/models", "", false, Target::kModels},
      {"POST", "/chat/completions", "", false, Target::kChat},
      {"POST", "/responses", "", false, Target::kResponses},
      {"POST", "/embeddings", "", false, Target::kEmbeddings},
      {"POST", "/completion", "", false, Target::kNative},
      {"POST", "/completions", "", false, Target::kNative},
      {"POST", "/apply-template", "", false, Target::kTemplate},
      {"POST", "/chat/completions/input_tokens", "", false, Target::kCountInput},
      {"POST", "/v1/chat/completions/input_tokens", "", false, Target::kCountInput},
      {"GET", "/props", "", false, Target::kProps},
      {"GET", "/slots", "", false, Target::kSlots},
      {"GET", "/v1/fine_tuning/jobs", "", false, Target::kJobs},
      {"GET", "/v1/fine_tuning/jobs/", "/events", true, Target::kJobEvents},
      {"GET", "/v1/fine_tuning/jobs/", "", true, Target::kJob},
  });
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
  if (is_preflight(head) && !options_.cors_origins.empty()) {
    return HttpResponse{.status = 200, .content_type = {}, .body = {}, .headers = {}};
  }
  if (!match || !match->route->is_public) {
    if (!has_key(head, options_.api_keys)) {
      return error_response({.status = 401,
                             .message = "The API key is missing or wrong; wants the header "
                                        "Authorization: Bearer KEY",
                             .type = "authentication_error",
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
      if (auto begun = begin(match, request, exchange)) return begun;
      response = answer(match, request);
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
  ApiRequest parsed = parse_api_request(api, request.body);
  const ServedModel& served = model(parsed.model);
  return GenerationTask::start(std::move(parsed), served, services_, client_of(request), exchange);
}

// What answers later; null where the answer is at hand.
std::shared_ptr<Activity> Router::begin(const Match& match, const HttpRequest& request,
                                        Exchange& exchange) const {
  switch (match.route->target) {
    case Target::kChat: return generate(Api::kChat, request, exchange);
    case Target::kCompletions: return generate(Api::kCompletion, request, exchange);
    case Target::kResponses: return generate(Api::kResponses, request, exchange);
    case Target::kNative: return generate(Api::kNative, request, exchange);
    case Target::kEmbeddings: {
      const EmbeddingRequest parsed = parse_embedding_request(request.body);
      return start_embedding(parsed, model(parsed.model), services_, client_of(request), exchange);
    }
    default: return nullptr;
  }
}

HttpResponse Router::answer(const Match& match, const HttpRequest& request) const {
  switch (match.route->target) {
    case Target::kIndex: return index(request);
    case Target::kPage: return page_response(match.id);
    case Target::kHealth: return health();
    case Target::kModels: return ok(model_list_json(options_.models));
    case Target::kModel: return ok(model_json(model(match.id)));
    case Target::kTokenize: return ok(tokenize(request.body, model(model_of(request.body))));
    case Target::kDetokenize: return ok(detokenize(request.body, model(model_of(request.body))));
    case Target::kTemplate: return ok(apply_template(request.body, model(model_of(request.body))));
    case Target::kCountInput: return ok(count_input(request.body, model(model_of(request.body))));
    case Target::kProps: return ok(props_json(model("")));
    case Target::kSlots: return slots();
    case Target::kMetrics: return metrics();
    case Target::kJobs: return ok(job_list_json(jobs().jobs(), request.query));
    case Target::kJob: return ok(job_json(job(match.id)));
    case Target::kJobEvents:
      return ok(event_list_json(jobs().events(job(match.id).id), request.query));
    default: break;
  }
  fail(Code::kInternal, "router", "a route without an answer");
}

void Router::complete(HttpResponse& response, const HttpRequest& request) const {
  auto& headers = response.headers;
  const auto is_id = [](const auto& header) { return header.first == "X-Request-Id"; };
  const auto own = std::find_if(headers.begin(), headers.end(), is_id);
  if (!request.request_id.empty() || own == headers.end()) {
    if (own != headers.end()) headers.erase(own);
    headers.emplace_back("X-Request-Id", request_id_of(request.request_id));
  }
  for (auto& header : cors_headers(request, options_.cors_origins)) headers.push_back(header);
}

HttpResponse Router::health() const {
  const double most_s = std::chrono::duration<double>(options_.stall).count();
  for (const ServedModel& one : options_.models) {
    if (one.generator->stats().step_under_way_s <= most_s) continue;
    HttpResponse response = error_response({.status = 503,
                                            .message = one.name + " does not get on",
                                            .type = "server_error",
                                            .code = "stalled"});
    return response;
  }
  return ok(R"({"status":"ok"})");
}

HttpResponse Router::slots() const {
  if (!options_.serve_slots) {
    return error_response({.status = 501,
                           .message = "This server does not show its slots",
                           .type = "not_supported_error",
                           .code = "not_supported"});
  }
  return ok(slots_json(model("")));
}

HttpResponse Router::metrics() const {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = services_.metrics->text(options_.models);
  return response;
}

const ServedModel& Router::model(const std::string& name) const {
  for (const ServedModel& one : options_.models) {
    if (one.name == name) return one;
  }
  const bool any = options_.any_model_name || (name.empty() && options_.models.size() == 1);
  if (any && !options_.models.empty()) return options_.models[0];
  if (name.empty()) {
    reject_field("model", "'model' is missing", "missing_required_parameter");
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

HttpResponse Router::index(const HttpRequest& request) const {
  HttpResponse response;
  if (wants_page(request)) {
    response = page_response("index.html");
    response.headers.emplace_back("Vary", "Accept");
    return response;
  }
  response.headers.emplace_back("Vary", "Accept");
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

}  // namespace yiti::serving
