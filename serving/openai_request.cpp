#include "serving/openai_request.h"

#include <fmt/format.h>

#include "serving/chat_messages.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

std::optional<int64_t> read_max_tokens(RequestFields& fields) {
  const auto old_name = fields.integer("max_tokens", 1);
  const auto new_name = fields.integer("max_completion_tokens", 1);
  if (old_name && new_name && *old_name != *new_name) {
    reject_field("max_tokens", "'max_tokens' and 'max_completion_tokens' differ");
  }
  return new_name ? new_name : old_name;
}

int read_chat_logprobs(RequestFields& fields) {
  const bool wanted = fields.boolean("logprobs").value_or(false);
  const auto top = fields.integer("top_logprobs", 0, 20);
  if (top && !wanted) reject_field("top_logprobs", "'top_logprobs' wants 'logprobs' to be true");
  return wanted ? static_cast<int>(top.value_or(0)) : -1;
}

void read_stream_options(RequestFields& fields, ApiRequest& request) {
  const Json* options = fields.find("stream_options");
  if (options == nullptr) return;
  if (!request.stream) reject_field("stream_options", "'stream_options' wants 'stream' to be true");
  if (!options->is_object()) reject_field("stream_options", "'stream_options' wants an object");
  RequestFields inner(*options);
  request.include_usage = inner.boolean("include_usage").value_or(false);
  request.continuous_usage =
      inner.boolean("continuous_usage_stats").value_or(false) && request.include_usage;
  inner.ignore("include_obfuscation");
  inner.refuse_unknown();
}

void read_template_variables(RequestFields& fields, ApiRequest& request) {
  const Json* given = fields.find("chat_template_kwargs");
  if (given == nullptr) return;
  if (!given->is_object()) {
    reject_field("chat_template_kwargs", "'chat_template_kwargs' wants an object");
  }
  request.template_variables = *given;
}

// What chat and completion share.
void read_common(RequestFields& fields, ApiRequest& request) {
  request.n = static_cast<int>(fields.integer("n", 1, kMaxChoices).value_or(1));
  request.stop = read_stop(fields);
  request.sampling = read_sampling(fields);
  request.format = read_output_format(fields);
  read_stream_options(fields, request);
}

}  // namespace

void read_conversation(RequestFields& fields, ApiRequest& request) {
  request.messages = read_messages(fields);
  request.tools = read_tools(fields);
  read_template_variables(fields, request);
  request.continue_message = fields.boolean("continue_final_message").value_or(false);
  const auto prompted = fields.boolean("add_generation_prompt");
  request.generation_prompt = prompted.value_or(!request.continue_message);
  if (request.generation_prompt && request.continue_message) {
    reject_field("continue_final_message",
                 "of 'continue_final_message' and 'add_generation_prompt' at most one may be true");
  }
  if (request.continue_message && request.messages.back()["role"] != "assistant") {
    reject_field("continue_final_message",
                 "'continue_final_message' wants the last message to be the assistant's");
  }
}

void read_chat_request(RequestFields& fields, ApiRequest& request) {
  read_common(fields, request);
  request.max_tokens = read_max_tokens(fields);
  read_conversation(fields, request);
  request.top_logprobs = read_chat_logprobs(fields);
  if (request.tools.choice == ToolChoice::kRequired &&
      request.format.kind != OutputFormat::Kind::kText) {
    reject_field("response_format", "a tool that must be called leaves no other format");
  }
  fields.refuse_unless("modalities", Json::array({"text"}));
  fields.refuse_unless("function_call", "none");
  fields.refuse_unless("reasoning_effort", "none");
  for (const char* name : {"functions", "audio", "web_search_options", "verbosity"}) {
    fields.refuse_unless(name, nullptr);
  }
}

void read_completion_request(RequestFields& fields, ApiRequest& request) {
  read_common(fields, request);
  request.max_tokens = fields.integer("max_tokens", 1).value_or(16);  // OpenAI's default
  request.prompts = read_prompts(fields.require("prompt"), "prompt");
  request.top_logprobs = static_cast<int>(fields.integer("logprobs", 0, 20).value_or(-1));
  request.echo = fields.boolean("echo").value_or(false);
  if (request.echo && request.top_logprobs >= 0) {
    reject_field("echo", "'echo' with 'logprobs' is not supported", "unsupported_parameter");
  }
  fields.refuse_unless("best_of", request.n);
  fields.refuse_unless("suffix", "");
}

ApiRequest parse_api_request(Api api, std::string_view body) {
  const Json json = parse_request_object(body);
  RequestFields fields(json);
  ApiRequest request;
  request.api = api;
  request.model = fields.string("model").value_or("");
  request.stream = fields.boolean("stream").value_or(false);
  request.timings = fields.boolean("timings_per_token").value_or(false);
  request.progress = fields.boolean("return_progress").value_or(false);
  request.verbose = fields.boolean("verbose").value_or(false);
  switch (api) {
    case Api::kChat: read_chat_request(fields, request); break;
    case Api::kCompletion: read_completion_request(fields, request); break;
    case Api::kResponses:
    case Api::kNativeResponses: read_responses_request(fields, request); break;
    case Api::kNative: read_native_request(fields, request); break;
  }
  if (static_cast<int64_t>(request.prompts.size()) * request.n > kMaxChoices) {
    reject_field("n", fmt::format("prompts × 'n' wants to be at most {}", kMaxChoices));
  }
  for (const char* name :
       {"user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key",
        "prompt_cache_retention", "prediction", "cache_prompt", "id_slot", "store"}) {
    fields.ignore(name);
  }
  fields.refuse_unknown();
  return request;
}

}  // namespace yiti::serving
