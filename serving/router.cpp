#include "serving/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "serving/access.h"
#include "serving/api_error.h"
#include "serving/embeddings.h"
#include "serving/openai_response.h"
#include "serving/page.h"
#include "serving/page_proxy.h"
#include "serving/query.h"

namespace yiti::serving {
namespace {

constexpr int64_t kMaxUploads = 4;
constexpr size_t kMaxStreamId = 256;

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
    "POST /v1/files\n"
    "POST /v1/fine_tuning/jobs\n"
    "GET  /v1/fine_tuning/jobs/{id}\n"
    "GET  /v1/fine_tuning/jobs/{id}/events\n"
    "GET  /v1/fine_tuning/jobs/{id}/checkpoints\n";

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

HttpResponse refuse_key() {
  return error_response({.status = 401,
                         .message = "The API key is missing or wrong; wants the header "
                                    "Authorization: Bearer KEY",
                         .type = "authentication_error",
                         .code = "invalid_api_key"});
}

// The answer where no route takes the method.
HttpResponse refuse_method(const RouteMatch& match, const HttpRequest& head) {
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

// Clients have streams of their own.
std::string stream_key(const HttpRequest& request, const std::string& id) {
  if (id.size() > kMaxStreamId) {
    reject_field("conv_id", fmt::format("a stream's id has {} bytes; wants at most {}", id.size(),
                                        kMaxStreamId));
  }
  return client_of(request) + '\n' + id;
}

std::string asked_stream(const HttpRequest& request) {
  const std::string id = query_value(request.query, "conv_id");
  if (id.empty()) {
    reject_field("conv_id", "'conv_id' is missing", "missing_required_parameter");
  }
  return stream_key(request, id);
}

// Routes whose answer is of a model, and which begin apart from those that generate.
bool answers_of_model(Target target) {
  switch (target) {
    case Target::kEmbeddings:
    case Target::kTokenize:
    case Target::kDetokenize:
    case Target::kTemplate:
    case Target::kCountInput:
    case Target::kProps:
    case Target::kSlots: return true;
    default: return false;
  }
}

std::shared_ptr<HttpRequest> taken(HttpRequest& request) {
  std::string body = std::move(request.body);
  auto copy = std::make_shared<HttpRequest>(request);
  copy->body = std::move(body);
  return copy;
}

std::shared_ptr<ModelRegistry> registry_of(const ServerOptions& options) {
  auto models = options.registry ? options.registry : std::make_shared<ModelRegistry>();
  for (const ServedModel& model : options.models) models->add(model);
  return models;
}

}  // namespace

Router::Router(const ServerOptions& options)
    : options_(options),
      models_(registry_of(options)),
      training_(options, *models_),
      services_{options, std::make_shared<Limiter>(options.max_generations),
                std::make_shared<Metrics>(models_)},
      uploads_(std::make_shared<Limiter>(kMaxUploads)),
      on_demand_(options.on_demand ? std::make_unique<OnDemandModel>(*options.on_demand, models_,
                                                                     services_.limiter, options.log)
                                   : nullptr),
      proxy_(options.cors_proxy ? std::make_unique<Worker>() : nullptr),
      // A client takes a whole stream at once, and may be behind by no more.
      kept_(std::make_unique<KeptStreams>(static_cast<size_t>(options.max_buffered_bytes / 2))) {}

Router::~Router() { ends_ = true; }

std::optional<HttpResponse> Router::precheck(const HttpRequest& head) const {
  if (is_preflight(head)) {
    return HttpResponse{.status = 200, .content_type = {}, .body = {}, .headers = {}};
  }
  if (!is_open_) return error_response(loading_error());
  const RouteMatch match = find_route(head.method, head.path);
  const bool is_public = match.route != nullptr && match.route->is_public;
  if (!is_public && !has_key(head, options_.api_keys)) return refuse_key();
  if (match.route == nullptr) return refuse_method(match, head);
  const bool is_proxy = match.route->target == Target::kProxy;
  if (is_proxy && !options_.cors_proxy) return refuse_method({}, head);
  // What a page from elsewhere can post without the browser asking first is not JSON by name.
  const Body body = match.route->body;
  if (body != Body::kNone && !is_type(head.content_type, type_name(body))) {
    return error_response(
        {.status = 415,
         .message = fmt::format("Content-Type is '{}'; wants {}", head.content_type.substr(0, 128),
                                type_name(body)),
         .code = "unsupported_media_type"});
  }
  // What it can post so, or fetch from elsewhere, must come from a page that may ask.
  const bool acts_freely = is_proxy || (match.route->method == "POST" && body != Body::kJson);
  if (acts_freely && is_foreign_page(head, options_.cors_origins)) {
    return error_response({.status = 403,
                           .message = "The request comes from a page of another site",
                           .code = "cross_site"});
  }
  return std::nullopt;
}

int64_t Router::upload_limit() const {
  constexpr int64_t kRoomForTheForm = 64 << 10;
  if (!is_open_ || options_.files == nullptr) return options_.max_body_bytes;
  return options_.files->options().max_file_bytes + kRoomForTheForm;
}

int64_t Router::body_limit(const HttpRequest& head) const {
  const RouteMatch match = find_route(head.method, head.path);
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
    return error_response(memory_error());
  } catch (const std::exception& error) {
    if (options_.log) options_.log(error.what());
    return error_response(to_api_error(Error(Code::kInternal, "serving", error.what())));
  }
}

std::shared_ptr<Activity> Router::handle(HttpRequest& request, Exchange& exchange) const {
  std::shared_ptr<Activity> activity;
  auto response = errors_as_responses([&]() -> std::optional<HttpResponse> {
    if (auto refused = precheck(request)) return refused;
    const RouteMatch match = find_route(request.method, request.path);
    auto begun = begin(match, request, exchange);
    if (!begun) return answer(match, request);
    activity = *std::move(begun);
    return std::nullopt;
  });
  if (response) exchange.respond(*std::move(response));
  return activity;
}

BeginActivity Router::answering(BeginActivity begin) const {
  return [this, begin = std::move(begin)](Exchange& exchange) {
    std::shared_ptr<Activity> activity;
    auto refused = errors_as_responses([&]() -> std::optional<HttpResponse> {
      activity = begin(exchange);
      return std::nullopt;
    });
    if (refused) exchange.respond(*std::move(refused));
    return activity;
  };
}

std::optional<std::shared_ptr<Activity>> Router::begin(const RouteMatch& match,
                                                       HttpRequest& request,
                                                       Exchange& exchange) const {
  if (wants_model() && answers_of_model(match.route->target)) {
    return on_demand_->begin_when_loaded(
        [this, held = taken(request)](Exchange& later) { return handle(*held, later); }, exchange);
  }
  switch (match.route->target) {
    case Target::kChat: return generate(Api::kChat, request, exchange);
    case Target::kCompletions: return generate(Api::kCompletion, request, exchange);
    case Target::kResponses: return generate(Api::kResponses, request, exchange);
    case Target::kNativeResponses: return generate(Api::kNativeResponses, request, exchange);
    case Target::kNative: return generate(Api::kNative, request, exchange);
    case Target::kEmbeddings: return embed(request, exchange);
    case Target::kStream: return resume_stream(request, exchange);
    default: break;
  }
  if (!match.route->is_slow) return std::nullopt;
  Worker& worker = match.route->target == Target::kProxy ? *proxy_ : *worker_;
  return worker.answer(exchange, [this, match, slow = taken(request)] {
    return *errors_as_responses([&] { return answer(match, *slow); });
  });
}

std::shared_ptr<Activity> Router::generate(Api api, const HttpRequest& request,
                                           Exchange& exchange) const {
  ApiRequest parsed = parse_api_request(api, request.body);
  const bool is_kept = parsed.stream && !request.conversation.empty();
  BeginActivity begin = [this, parsed = std::move(parsed),
                         client = client_of(request)](Exchange& later) mutable {
    ServedModelPtr served = model(parsed.model);
    return GenerationTask::start(std::move(parsed), std::move(served), services_, client, later);
  };
  if (wants_model()) {
    begin = [this, when_loaded = answering(std::move(begin))](Exchange& later) {
      return on_demand_->begin_when_loaded(when_loaded, later);
    };
  }
  if (!is_kept) return begin(exchange);
  const std::string key = stream_key(request, request.conversation);
  return kept_->start(key, answering(std::move(begin)), exchange);
}

std::shared_ptr<Activity> Router::resume_stream(const HttpRequest& request,
                                                Exchange& exchange) const {
  const std::string from = query_value(request.query, "from");
  uint64_t byte = 0;
  const char* const end = from.data() + from.size();
  const auto read = std::from_chars(from.data(), end, byte);
  if (!from.empty() && (read.ec != std::errc() || read.ptr != end)) {
    reject_field("from", "'from' wants a number of bytes");
  }
  const std::string key = asked_stream(request);
  if (wants_model() && kept_->holds(key)) throw ApiException(loading_error());
  return kept_->resume(key, byte, exchange);
}

HttpResponse Router::stop_stream(const HttpRequest& request) const {
  kept_->stop(asked_stream(request));
  return {.status = 204, .content_type = {}, .body = {}, .headers = {}};
}

std::shared_ptr<Activity> Router::embed(const HttpRequest& request, Exchange& exchange) const {
  const EmbeddingRequest parsed = parse_embedding_request(request.body);
  return start_embedding(parsed, model(parsed.model), services_, client_of(request), exchange);
}

HttpResponse Router::answer(const RouteMatch& match, const HttpRequest& request) const {
  switch (match.route->target) {
    case Target::kIndex: return index(request);
    case Target::kPage: return page_response(match.id);
    case Target::kHealth: return health();
    case Target::kMetrics:
      return text_response(
          services_.metrics->text(on_demand_ ? std::optional(on_demand_->waiting()) : std::nullopt),
          "text/plain; version=0.0.4; charset=utf-8");
    case Target::kModels: return json_response(model_list_json(listed(), status()));
    case Target::kModel: return describe_model(match.id);
    case Target::kTokenize: return answer_by(tokenize, request);
    case Target::kDetokenize: return answer_by(detokenize, request);
    case Target::kTemplate: return answer_by(apply_template, request);
    case Target::kCountInput: return answer_by(count_input, request);
    case Target::kProps: return json_response(props_json(*model_asked_for(request)));
    case Target::kSlots: return slots(*model_asked_for(request));
    case Target::kStopStream: return stop_stream(request);
    case Target::kProxy:
      return fetch_for_page(request, {options_.max_body_bytes, options_.proxy_timeout, &ends_});
    case Target::kTraining: return (training_.*match.route->training)(match.id, request);
    case Target::kChat:
    case Target::kCompletions:
    case Target::kResponses:
    case Target::kNativeResponses:
    case Target::kNative:
    case Target::kEmbeddings:
    case Target::kStream: break;
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

bool Router::wants_model() const {
  return on_demand_ != nullptr && on_demand_->state() != OnDemandModel::State::kLoaded;
}

std::vector<ServedModelPtr> Router::listed() const {
  return wants_model() ? std::vector{on_demand_->promise()} : models_->list();
}

HttpResponse Router::describe_model(const std::string& name) const {
  const bool promised = wants_model() && name == on_demand_->promise()->name;
  return json_response(model_json(promised ? *on_demand_->promise() : *model(name), status()));
}

const char* Router::status() const {
  return on_demand_ ? state_name(on_demand_->state()) : "loaded";
}

HttpResponse Router::health() const {
  const double most_s = std::chrono::duration<double>(options_.stall).count();
  for (const ServedModelPtr& one : models_->list()) {
    if (one->generator->stats().step_under_way_s <= most_s) continue;
    return error_response({.status = 503,
                           .message = one->name + " does not get on",
                           .type = "server_error",
                           .code = "stalled"});
  }
  return json_response(R"({"status":"ok"})");
}

HttpResponse Router::answer_by(TextRoute route, const HttpRequest& request) const {
  const nlohmann::ordered_json json = parse_request_object(request.body);
  RequestFields fields(json);
  const ServedModelPtr named = model(fields.string("model").value_or(""));
  return json_response(route(fields, *named));
}

HttpResponse Router::slots(const ServedModel& model) const {
  if (options_.serve_slots) return json_response(slots_json(model));
  return error_response({.status = 501,
                         .message = "This server does not show its slots",
                         .type = "not_supported_error",
                         .code = "not_supported"});
}

HttpResponse Router::index(const HttpRequest& request) const {
  HttpResponse response;
  if (wants_page(request)) {
    response = page_response("index.html");
  } else {
    std::string text = kIndexText;
    if (options_.jobs != nullptr) text += kIndexJobs;
    text += "\nModels:\n";
    for (const ServedModelPtr& one : listed()) text += "  " + one->name + "\n";
    response = text_response(std::move(text));
  }
  response.headers.emplace_back("Vary", "Accept");
  return response;
}

ServedModelPtr Router::model(const std::string& name) const {
  if (ServedModelPtr found = models_->find(name)) return found;
  if (name.empty() || options_.any_model_name) {
    std::vector<ServedModelPtr> bases = models_->list();
    std::erase_if(bases, [](const ServedModelPtr& one) { return !one->parent.empty(); });
    if (bases.size() == 1 || (options_.any_model_name && !bases.empty())) return bases[0];
  }
  if (name.empty()) reject_field("model", "'model' is missing", "missing_required_parameter");
  throw ApiException({.status = 404,
                      .message = fmt::format("The model '{}' does not exist", name.substr(0, 256)),
                      .param = "model",
                      .code = "model_not_found"});
}

ServedModelPtr Router::model_asked_for(const HttpRequest& request) const {
  return model(query_value(request.query, "model"));
}

}  // namespace yiti::serving
