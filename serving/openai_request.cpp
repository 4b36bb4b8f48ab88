#include "serving/openai_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "serving/api_error.h"
#include "serving/bounded_json.h"
#include "serving/request_fields.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMaxChoices = 128;
constexpr size_t kMaxStops = 4;

std::string text_part(const Json& part, const std::string& field) {
  if (!part.is_object()) reject_field(field, fmt::format("'{}' wants an object", field));
  RequestFields fields(part);
  const std::string type = fields.string("type").value_or("");
  if (type != "text") {
    reject_field(
        field, fmt::format("'{}.type' is '{}'; only text is supported", field, type.substr(0, 64)));
  }
  const Json& text = fields.require("text");
  if (!text.is_string()) reject_field(field, fmt::format("'{}.text' wants a string", field));
  return text.get<std::string>();
}

// A string, or text parts, which become lines of their own.
std::string message_content(const Json& content, const std::string& field) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array() || content.empty()) {
    reject_field(field, fmt::format("'{}' wants a string or an array of text parts", field));
  }
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    if (i > 0) text += '\n';
    text += text_part(content[i], fmt::format("{}[{}]", field, i));
  }
  return text;
}

Json message(const Json& given, const std::string& field) {
  if (!given.is_object()) reject_field(field, fmt::format("'{}' wants an object", field));
  RequestFields fields(given);
  const std::string given_role = fields.string("role").value_or("");
  // Templates do not know OpenAI's newer name of the system role.
  const std::string role = given_role == "developer" ? "system" : given_role;
  constexpr std::array<std::string_view, 3> kRoles = {"system", "user", "assistant"};
  if (std::find(kRoles.begin(), kRoles.end(), role) == kRoles.end()) {
    reject_field(field + ".role",
                 fmt::format("'{}.role' is '{}'; wants system, developer, user or assistant", field,
                             role.substr(0, 64)));
  }
  const Json* content = fields.find("content");
  if (content == nullptr) {
    reject_field(field + ".content", fmt::format("'{}.content' is missing", field),
                 "missing_required_parameter");
  }
  Json result = {{"role", role}, {"content", message_content(*content, field + ".content")}};
  if (const auto name = fields.string("name")) result["name"] = *name;
  for (const char* other : {"tool_calls", "function_call", "audio", "refusal"}) {
    fields.refuse_unless(other, nullptr);
  }
  for (const char* other : {"annotations", "reasoning_content"}) fields.ignore(other);
  fields.refuse_unknown();
  return result;
}

Json read_messages(RequestFields& fields) {
  const Json& given = fields.require("messages");
  if (!given.is_array() || given.empty()) {
    reject_field("messages", "'messages' wants an array of at least one message");
  }
  Json result = Json::array();
  for (size_t i = 0; i < given.size(); ++i) {
    result.push_back(message(given[i], fmt::format("messages[{}]", i)));
  }
  return result;
}

std::vector<int32_t> token_prompt(const Json& given) {
  std::vector<int32_t> tokens;
  tokens.reserve(given.size());
  for (const Json& token : given) {
    const bool fits = token.is_number_unsigned() && token.get<uint64_t>() <= INT32_MAX;
    if (!fits) reject_field("prompt", "'prompt' as tokens wants integers of 0 or more");
    tokens.push_back(token.get<int32_t>());
  }
  return tokens;
}

std::vector<Prompt> read_prompts(RequestFields& fields) {
  const Json& given = fields.require("prompt");
  if (given.is_string()) return {given.get<std::string>()};
  if (!given.is_array() || given.empty()) {
    reject_field("prompt", "'prompt' wants a string, strings, tokens or lists of tokens");
  }
  if (given[0].is_number()) return {token_prompt(given)};
  if (static_cast<int64_t>(given.size()) > kMaxChoices) {
    reject_field("prompt", fmt::format("'prompt' has {} prompts; wants at most {}", given.size(),
                                       kMaxChoices));
  }
  std::vector<Prompt> prompts;
  for (const Json& one : given) {
    if (one.is_string()) {
      prompts.emplace_back(one.get<std::string>());
    } else if (one.is_array() && !one.empty()) {
      prompts.emplace_back(token_prompt(one));
    } else {
      reject_field("prompt", "'prompt' wants a string, strings, tokens or lists of tokens");
    }
  }
  return prompts;
}

std::vector<std::string> read_stop(RequestFields& fields) {
  const Json* given = fields.find("stop");
  if (given == nullptr) return {};
  const Json list = given->is_array() ? *given : Json::array({*given});
  if (list.size() > kMaxStops) {
    reject_field("stop",
                 fmt::format("'stop' has {} strings; wants at most {}", list.size(), kMaxStops));
  }
  std::vector<std::string> stop;
  for (const Json& one : list) {
    if (!one.is_string() || one.get_ref<const std::string&>().empty()) {
      reject_field("stop", "'stop' wants a string that is not empty, or several");
    }
    stop.push_back(one.get<std::string>());
  }
  return stop;
}

SamplingWishes read_sampling(RequestFields& fields) {
  SamplingWishes wishes;
  wishes.temperature = fields.number("temperature", 0, 2);
  wishes.top_p = fields.number("top_p", 0, 1);
  wishes.min_p = fields.number("min_p", 0, 1);
  wishes.repetition_penalty = fields.number("repetition_penalty", 0.01, 10);
  wishes.frequency_penalty = fields.number("frequency_penalty", -2, 2);
  wishes.presence_penalty = fields.number("presence_penalty", -2, 2);
  wishes.top_k = fields.integer("top_k", -1);
  if (wishes.top_k == -1) wishes.top_k = 0;
  const auto seed = fields.integer("seed", INT64_MIN);
  if (seed) wishes.seed = static_cast<uint64_t>(*seed);
  return wishes;
}

std::optional<int64_t> read_max_tokens(RequestFields& fields, Api api) {
  const auto old_name = fields.integer("max_tokens", 1);
  if (api == Api::kCompletion) return old_name.value_or(16);  // OpenAI's default
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

void read_stream(RequestFields& fields, ApiRequest& request) {
  request.stream = fields.boolean("stream").value_or(false);
  const Json* options = fields.find("stream_options");
  if (options == nullptr) return;
  if (!request.stream) reject_field("stream_options", "'stream_options' wants 'stream' to be true");
  if (!options->is_object()) reject_field("stream_options", "'stream_options' wants an object");
  RequestFields inner(*options);
  request.include_usage = inner.boolean("include_usage").value_or(false);
  inner.ignore("include_obfuscation");
  inner.refuse_unknown();
}

void refuse_unsupported(RequestFields& fields, Api api) {
  fields.refuse_unless("logit_bias", nullptr);
  if (api == Api::kCompletion) {
    fields.refuse_unless("echo", false);
    fields.refuse_unless("suffix", "");
    return;
  }
  fields.refuse_unless("response_format", {{"type", "text"}});
  fields.refuse_unless("modalities", Json::array({"text"}));
  fields.refuse_unless("tool_choice", "none");
  fields.refuse_unless("function_call", "none");
  fields.refuse_unless("reasoning_effort", "none");
  for (const char* name : {"tools", "functions", "audio", "web_search_options", "verbosity"}) {
    fields.refuse_unless(name, nullptr);
  }
}

}  // namespace

ApiRequest parse_api_request(Api api, std::string_view body) {
  const Json json = parse_request_json(body);
  if (!json.is_object()) {
    throw ApiException({.message = "The body wants to be a JSON object"});
  }
  RequestFields fields(json);
  ApiRequest request;
  request.api = api;
  const Json& model = fields.require("model");
  if (!model.is_string()) reject_field("model", "'model' wants a string", "invalid_type");
  request.model = model.get<std::string>();
  read_stream(fields, request);
  request.n = static_cast<int>(fields.integer("n", 1, kMaxChoices).value_or(1));
  request.max_tokens = read_max_tokens(fields, api);
  request.stop = read_stop(fields);
  request.sampling = read_sampling(fields);
  if (api == Api::kChat) {
    request.messages = read_messages(fields);
    request.top_logprobs = read_chat_logprobs(fields);
  } else {
    request.prompts = read_prompts(fields);
    request.top_logprobs = static_cast<int>(fields.integer("logprobs", 0, 20).value_or(-1));
    fields.refuse_unless("best_of", request.n);
  }
  if (static_cast<int64_t>(request.prompts.size()) * request.n > kMaxChoices) {
    reject_field("n", fmt::format("prompts × 'n' wants to be at most {}", kMaxChoices));
  }
  refuse_unsupported(fields, api);
  for (const char* name :
       {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
        "prompt_cache_retention", "parallel_tool_calls", "prediction"}) {
    fields.ignore(name);
  }
  fields.refuse_unknown();
  return request;
}

Sampling merge_sampling(const Sampling& defaults, const SamplingWishes& wishes) {
  Sampling result = defaults;
  if (result.temperature == 0) result.temperature = 1;
  result.temperature = wishes.temperature.value_or(result.temperature);
  result.top_k = wishes.top_k.value_or(result.top_k);
  result.top_p = wishes.top_p.value_or(result.top_p);
  result.min_p = wishes.min_p.value_or(result.min_p);
  result.repetition_penalty = wishes.repetition_penalty.value_or(result.repetition_penalty);
  result.frequency_penalty = wishes.frequency_penalty.value_or(result.frequency_penalty);
  result.presence_penalty = wishes.presence_penalty.value_or(result.presence_penalty);
  result.seed = wishes.seed.value_or(result.seed);
  return result;
}

}  // namespace yiti::serving
