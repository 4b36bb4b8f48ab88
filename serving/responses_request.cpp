// OpenAI's POST /v1/responses (reference of 2025): text without stored state.
#include <fmt/format.h>

#include "serving/chat_messages.h"
#include "serving/openai_request.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

Json read_item(const Json& given, const std::string& field) {
  if (!given.is_object()) reject_field(field, fmt::format("'{}' wants an object", field));
  RequestFields fields(given);
  const std::string type = fields.string("type").value_or("message");
  if (type != "message") {
    reject_field(field, fmt::format("'{}.type' is '{}'; only message is supported", field,
                                    type.substr(0, 64)));
  }
  const std::string role = fields.string("role").value_or("");
  if (role != "system" && role != "developer" && role != "user" && role != "assistant") {
    reject_field(field, fmt::format("'{}.role' is '{}'; wants system, developer, user or assistant",
                                    field, role.substr(0, 64)));
  }
  const std::string content = read_content(fields.require("content"), field + ".content",
                                           {"input_text", "output_text", "text"});
  return {{"role", role == "developer" ? "system" : role}, {"content", content}};
}

Json read_input(RequestFields& fields) {
  Json messages = Json::array();
  if (const auto instructions = fields.string("instructions")) {
    messages.push_back({{"role", "system"}, {"content", *instructions}});
  }
  const Json& input = fields.require("input");
  if (input.is_string()) {
    messages.push_back({{"role", "user"}, {"content", input}});
    return messages;
  }
  if (!input.is_array() || input.empty()) {
    reject_field("input", "'input' wants a string or an array of messages");
  }
  for (size_t i = 0; i < input.size(); ++i) {
    messages.push_back(read_item(input[i], fmt::format("input[{}]", i)));
  }
  return messages;
}

// The format's schema lies beside its type here, and in an object of its own in chats.
OutputFormat read_text_format(RequestFields& fields) {
  const Json* text = fields.find("text");
  if (text == nullptr) return {};
  if (!text->is_object()) reject_field("text", "'text' wants an object");
  RequestFields inner(*text);
  const Json* format = inner.find("format");
  inner.refuse_unless("verbosity", "medium");
  inner.refuse_unknown();
  if (format == nullptr) return {};
  if (!format->is_object()) reject_field("text", "'text.format' wants an object");
  const Json chat_format = {
      {"response_format", {{"type", format->value("type", Json())}, {"json_schema", *format}}}};
  RequestFields chat_fields(chat_format);
  return read_output_format(chat_fields);
}

}  // namespace

void read_responses_request(RequestFields& fields, ApiRequest& request) {
  request.messages = read_input(fields);
  request.max_tokens = fields.integer("max_output_tokens", 1);
  request.sampling = read_sampling(fields);
  request.format = read_text_format(fields);
  fields.refuse_unless("store", false);
  fields.refuse_unless("background", false);
  fields.refuse_unless("truncation", "disabled");
  fields.refuse_unless("top_logprobs", 0);
  fields.refuse_unless("tool_choice", "none");
  for (const char* name : {"previous_response_id", "conversation", "prompt", "tools", "reasoning",
                           "include", "context_management"}) {
    fields.refuse_unless(name, nullptr);
  }
  for (const char* name : {"parallel_tool_calls", "max_tool_calls", "stream_options"}) {
    fields.ignore(name);
  }
}

}  // namespace yiti::serving
