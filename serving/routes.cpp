#include "serving/routes.h"

#include "serving/query.h"

namespace yiti::serving {
namespace {

using T = TrainingRoutes;

constexpr Route get(std::string_view path, Target target, bool is_public = false) {
  return {.method = "GET", .prefix = path, .target = target, .is_public = is_public};
}

constexpr Route post(std::string_view path, Target target) {
  return {.method = "POST", .prefix = path, .target = target, .body = Body::kJson};
}

constexpr Route training(std::string_view method, std::string_view path, TrainingHandler handler,
                         Body body = Body::kNone) {
  return {.method = method,
          .prefix = path,
          .target = Target::kTraining,
          .body = body,
          .training = handler};
}

constexpr Route with_id(Route route, std::string_view suffix = {}) {
  route.has_id = true;
  route.suffix = suffix;
  return route;
}

constexpr Route slow(Route route) {
  route.is_slow = true;
  return route;
}

// Of routes that fit, the first one counts.
constexpr Route kRoutes[] = {
    get("/", Target::kIndex, true),
    with_id(get("/page/", Target::kPage, true)),
    get("/health", Target::kHealth, true),
    get("/metrics", Target::kMetrics),
    get("/v1/models", Target::kModels),
    with_id(training("GET", "/v1/models/", &T::list_versions), "/versions"),
    slow(with_id(training("POST", "/v1/models/", &T::roll_back, Body::kJson), "/rollback")),
    with_id(get("/v1/models/", Target::kModel)),
    with_id(training("DELETE", "/v1/models/", &T::delete_model)),
    post("/v1/chat/completions", Target::kChat),
    post("/v1/completions", Target::kCompletions),
    post("/v1/responses", Target::kResponses),
    post("/v1/embeddings", Target::kEmbeddings),
    // vLLM's.
    post("/tokenize", Target::kTokenize),
    post("/detokenize", Target::kDetokenize),
    slow(training("POST", "/v1/load_lora_adapter", &T::load_adapter, Body::kJson)),
    slow(training("POST", "/v1/unload_lora_adapter", &T::unload_adapter, Body::kJson)),
    // llama.cpp's.
    get("/v1/health", Target::kHealth, true),
    get("/models", Target::kModels),
    get("/props", Target::kProps),
    get("/slots", Target::kSlots),
    post("/chat/completions", Target::kChat),
    post("/responses", Target::kNativeResponses),
    post("/embeddings", Target::kEmbeddings),
    slow(get("/cors-proxy", Target::kProxy)),
    slow({.method = "POST", .prefix = "/cors-proxy", .target = Target::kProxy}),
    get("/v1/stream", Target::kStream),
    {.method = "DELETE", .prefix = "/v1/stream", .target = Target::kStopStream},
    post("/completion", Target::kNative),
    post("/completions", Target::kNative),
    post("/apply-template", Target::kTemplate),
    post("/chat/completions/input_tokens", Target::kCountInput),
    post("/v1/chat/completions/input_tokens", Target::kCountInput),
    // OpenAI's for fine-tuning.
    slow(training("POST", "/v1/files", &T::upload_file, Body::kForm)),
    training("GET", "/v1/files", &T::list_files),
    with_id(training("GET", "/v1/files/", &T::get_file_contents), "/content"),
    with_id(training("GET", "/v1/files/", &T::get_file)),
    with_id(training("DELETE", "/v1/files/", &T::delete_file)),
    training("POST", "/v1/fine_tuning/jobs", &T::create_job, Body::kJson),
    training("GET", "/v1/fine_tuning/jobs", &T::list_jobs),
    with_id(training("POST", "/v1/fine_tuning/jobs/", &T::cancel_job), "/cancel"),
    with_id(training("POST", "/v1/fine_tuning/jobs/", &T::pause_job), "/pause"),
    with_id(training("POST", "/v1/fine_tuning/jobs/", &T::resume_job), "/resume"),
    with_id(training("GET", "/v1/fine_tuning/jobs/", &T::list_events), "/events"),
    with_id(training("GET", "/v1/fine_tuning/jobs/", &T::list_checkpoints), "/checkpoints"),
    with_id(training("GET", "/v1/fine_tuning/jobs/", &T::get_job)),
};

bool fits(const Route& route, std::string_view path) {
  if (!route.has_id) return path == route.prefix;
  return path.size() > route.prefix.size() + route.suffix.size() &&
         path.starts_with(route.prefix) && path.ends_with(route.suffix);
}

bool takes(const Route& route, std::string_view method) {
  return method == route.method || (method == "HEAD" && route.method == "GET");
}

std::string id_in(const Route& route, std::string_view path) {
  if (!route.has_id) return {};
  path.remove_prefix(route.prefix.size());
  path.remove_suffix(route.suffix.size());
  return percent_decode(path);
}

}  // namespace

RouteMatch find_route(std::string_view method, std::string_view path) {
  RouteMatch match;
  for (const Route& route : kRoutes) {
    if (!fits(route, path)) continue;
    if (takes(route, method)) return {&route, id_in(route, path), {}};
    if (match.allow.find(route.method) != std::string::npos) continue;
    match.allow += route.method == "GET" ? "GET, HEAD, " : std::string(route.method) + ", ";
  }
  if (!match.allow.empty()) match.allow += "OPTIONS";
  return match;
}

}  // namespace yiti::serving
