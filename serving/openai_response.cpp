#include "serving/openai_response.h"

#include <nlohmann/json.hpp>

#include "serving/json_text.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

Json token_json(const std::string& piece, double logprob) {
  return {{"token", piece}, {"logprob", finite_logprob(logprob)}, {"bytes", bytes_json(piece)}};
}

Json chat_logprobs(const std::vector<TokenDetail>& details) {
  Json content = Json::array();
  for (const TokenDetail& detail : details) {
    Json entry = token_json(detail.piece, detail.logprob);
    Json top = Json::array();
    for (const TokenAlternative& other : detail.top) {
      top.push_back(token_json(other.piece, other.logprob));
    }
    entry["top_logprobs"] = std::move(top);
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

Json completion_logprobs(const std::vector<TokenDetail>& details) {
  Json result = {{"tokens", Json::array()},
                 {"token_logprobs", Json::array()},
                 {"top_logprobs", Json::array()},
                 {"text_offset", Json::array()}};
  for (const TokenDetail& detail : details) {
    Json top = Json::object();
    for (const TokenAlternative& other : detail.top)
      top[other.piece] = finite_logprob(other.logprob);
    result["tokens"].push_back(detail.piece);
    result["token_logprobs"].push_back(finite_logprob(detail.logprob));
    result["top_logprobs"].push_back(std::move(top));
    result["text_offset"].push_back(detail.text_offset);
  }
  return result;
}

Json logprobs_json(Api api, const ReplyChoice& choice) {
  if (!choice.with_logprobs) return nullptr;
  return api == Api::kChat ? chat_logprobs(choice.details) : completion_logprobs(choice.details);
}

Json finish_json(const ReplyChoice& choice) {
  return choice.finish_reason.empty() ? Json(nullptr) : Json(choice.finish_reason);
}

Json head_json(const ReplyHead& head, bool chunk, const std::string& fingerprint) {
  const char* object = head.api == Api::kCompletion ? "text_completion"
                       : chunk                      ? "chat.completion.chunk"
                                                    : "chat.completion";
  Json json = {
      {"id", head.id}, {"object", object}, {"created", head.created_unix_s}, {"model", head.model}};
  if (!fingerprint.empty()) json["system_fingerprint"] = fingerprint;
  return json;
}

Json tool_calls_json(const std::vector<ReplyToolCall>& calls, bool delta) {
  Json list = Json::array();
  for (const ReplyToolCall& call : calls) {
    Json entry = Json::object();
    if (delta) entry["index"] = call.index;
    entry["id"] = call.id;
    entry["type"] = "function";
    entry["function"] = {{"name", call.name}, {"arguments", call.arguments}};
    list.push_back(std::move(entry));
  }
  return list;
}

Json choice_json(Api api, const ReplyChoice& choice) {
  Json json = {{"index", choice.index}};
  if (api == Api::kChat) {
    json["message"] = {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}};
    if (!choice.tool_calls.empty()) {
      if (choice.text.empty()) json["message"]["content"] = nullptr;
      json["message"]["tool_calls"] = tool_calls_json(choice.tool_calls, false);
    }
  } else {
    json["text"] = choice.text;
  }
  json["logprobs"] = logprobs_json(api, choice);
  json["finish_reason"] = finish_json(choice);
  return json;
}

Json delta_json(Api api, const ReplyChoice& choice) {
  Json json = {{"index", choice.index}};
  if (api == Api::kChat) {
    json["delta"] = Json::object();
    if (!choice.text.empty()) json["delta"]["content"] = choice.text;
    if (!choice.tool_calls.empty()) {
      json["delta"]["tool_calls"] = tool_calls_json(choice.tool_calls, true);
    }
  } else {
    json["text"] = choice.text;
  }
  json["logprobs"] = choice.details.empty() ? Json(nullptr) : logprobs_json(api, choice);
  json["finish_reason"] = finish_json(choice);
  return json;
}

std::string chunk(const ReplyHead& head, Json choice, const ChunkOptions& options) {
  Json json = head_json(head, true, options.fingerprint);
  json["choices"] = Json::array({std::move(choice)});
  if (options.include_usage) json["usage"] = nullptr;
  json.update(options.more);
  return json_text(json);
}

Json model_object(const ServedModel& model, std::string_view status) {
  Json json = {{"id", model.name},
               {"object", "model"},
               {"created", model.created_unix_s},
               {"owned_by", model.owned_by},
               {"status", {{"value", status}}}};  // as llama.cpp's router has it
  if (!model.parent.empty()) json["parent"] = model.parent;
  if (!model.aliases.empty()) {
    json["aliases"] = model.aliases;
    json["aliases"].insert(json["aliases"].begin(), model.name);
  }
  if (!model.tags.empty()) json["tags"] = model.tags;
  return json;
}

}  // namespace

Json usage_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

std::string reply_json(const ReplyHead& head, const std::vector<ReplyChoice>& choices,
                       const Usage& usage, const std::string& fingerprint, const Json& more) {
  Json json = head_json(head, false, fingerprint);
  json["choices"] = Json::array();
  for (const ReplyChoice& choice : choices)
    json["choices"].push_back(choice_json(head.api, choice));
  json["usage"] = usage_json(usage);
  json.update(more);
  return json_text(json);
}

std::string role_chunk_json(const ReplyHead& head, int64_t index, const ChunkOptions& options) {
  return chunk(head,
               {{"index", index},
                {"delta", {{"role", "assistant"}, {"content", nullptr}, {"refusal", nullptr}}},
                {"logprobs", nullptr},
                {"finish_reason", nullptr}},
               options);
}

std::string chunk_json(const ReplyHead& head, const ReplyChoice& delta,
                       const ChunkOptions& options) {
  return chunk(head, delta_json(head.api, delta), options);
}

Json timings_json(const Usage& usage, const GenerationTimes& times) {
  const auto rate = [](int64_t tokens, double time_s) {
    return time_s > 0 ? static_cast<double>(tokens) / time_s : 0;
  };
  const int64_t fresh = usage.prompt_tokens - usage.cached_tokens;
  return {{"cache_n", usage.cached_tokens},
          {"prompt_n", fresh},
          {"prompt_ms", times.prompt_s * 1e3},
          {"prompt_per_second", rate(fresh, times.prompt_s)},
          {"predicted_n", usage.completion_tokens},
          {"predicted_ms", times.decode_s * 1e3},
          {"predicted_per_second", rate(usage.completion_tokens, times.decode_s)}};
}

Json progress_json(const PromptProgress& progress) {
  return {{"total", progress.total},
          {"cache", progress.cached},
          {"processed", progress.processed},
          {"time_ms", static_cast<int64_t>(progress.time_s * 1e3)}};
}

std::string usage_chunk_json(const ReplyHead& head, const Usage& usage,
                             const std::string& fingerprint, const Json& more) {
  Json json = head_json(head, true, fingerprint);
  json["choices"] = Json::array();
  json["usage"] = usage_json(usage);
  json.update(more);
  return json_text(json);
}

std::string model_json(const ServedModel& model, std::string_view status) {
  return json_text(model_object(model, status));
}

std::string model_list_json(const std::vector<ServedModelPtr>& models, std::string_view status) {
  Json json = {{"object", "list"}, {"data", Json::array()}};
  for (const ServedModelPtr& model : models) json["data"].push_back(model_object(*model, status));
  return json_text(json);
}

}  // namespace yiti::serving
