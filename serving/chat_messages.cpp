#include "serving/chat_messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

std::string text_part(const Json& part, const std::string& field,
                      std::initializer_list<std::string_view> kinds) {
  if (!part.is_object()) reject_field(field, fmt::format("'{}' wants an object", field));
  RequestFields fields(part);
  const std::string type = fields.string("type").value_or("");
  if (std::find(kinds.begin(), kinds.end(), type) == kinds.end()) {
    reject_field(
        field, fmt::format("'{}.type' is '{}'; only text is supported", field, type.substr(0, 64)));
  }
  const Json& text = fields.require("text");
  if (!text.is_string()) reject_field(field, fmt::format("'{}.text' wants a string", field));
  return text.get<std::string>();
}

std::string read_role(RequestFields& fields, const std::string& field) {
  const std::string given = fields.string("role").value_or("");
  // Templates do not know OpenAI's newer name of the system role.
  std::string role = given == "developer" ? "system" : given;
  constexpr std::array<std::string_view, 4> kRoles = {"system", "user", "assistant", "tool"};
  if (std::find(kRoles.begin(), kRoles.end(), role) == kRoles.end()) {
    reject_field(field + ".role",
                 fmt::format("'{}.role' is '{}'; wants system, developer, user, assistant or tool",
                             field, role.substr(0, 64)));
  }
  return role;
}

// Templates write arguments as JSON themselves, so they want the value, not its text.
Json tool_arguments(RequestFields& function, const std::string& field) {
  const Json* given = function.find("arguments");
  if (given == nullptr) return Json::object();
  if (given->is_object()) return *given;
  if (!given->is_string()) {
    reject_field(field, fmt::format("'{}.function.arguments' wants a string of JSON", field));
  }
  Json parsed = Json::parse(given->get_ref<const std::string&>(), nullptr, false);
  return parsed.is_object() ? parsed : *given;
}

Json tool_call(const Json& given, const std::string& field) {
  if (!given.is_object()) reject_field(field, fmt::format("'{}' wants an object", field));
  RequestFields fields(given);
  const Json& function = fields.require("function");
  if (!function.is_object()) {
    reject_field(field, fmt::format("'{}.function' wants an object", field));
  }
  RequestFields inner(function);
  const auto name = inner.string("name");
  if (!name || name->empty()) {
    reject_field(field, fmt::format("'{}.function.name' is missing", field));
  }
  return {{"id", fields.string("id").value_or("")},
          {"type", "function"},
          {"function", {{"name", *name}, {"arguments", tool_arguments(inner, field)}}}};
}

Json tool_calls(const Json& given, const std::string& field) {
  if (!given.is_array() || given.empty()) {
    reject_field(field, fmt::format("'{}' wants an array of calls", field));
  }
  Json calls = Json::array();
  for (size_t i = 0; i < given.size(); ++i) {
    calls.push_back(tool_call(given[i], fmt::format("{}[{}]", field, i)));
  }
  return calls;
}

Json message(const Json& given, const std::string& field) {
  if (!given.is_object()) reject_field(field, fmt::format("'{}' wants an object", field));
  RequestFields fields(given);
  const std::string role = read_role(fields, field);
  const Json* content = fields.find("content");
  const Json* calls = role == "assistant" ? fields.find("tool_calls") : nullptr;
  if (content == nullptr && calls == nullptr) {
    reject_field(field + ".content", fmt::format("'{}.content' is missing", field),
                 "missing_required_parameter");
  }
  const char* separator = role == "assistant" ? "\n\n" : "\n";
  const std::string text =
      content == nullptr ? "" : read_content(*content, field + ".content", {"text"}, separator);
  Json result = {{"role", role}, {"content", text}};
  if (const auto name = fields.string("name")) result["name"] = *name;
  if (calls != nullptr) result["tool_calls"] = tool_calls(*calls, field + ".tool_calls");
  if (role == "tool") {
    if (const auto id = fields.string("tool_call_id")) result["tool_call_id"] = *id;
  }
  for (const char* other : {"tool_calls", "function_call", "audio", "refusal"}) {
    if (calls == nullptr || other != std::string_view("tool_calls")) {
      fields.refuse_unless(other, nullptr);
    }
  }
  for (const char* other : {"annotations", "reasoning_content", "reasoning"}) fields.ignore(other);
  fields.refuse_unknown();
  return result;
}

}  // namespace

std::string read_content(const Json& content, const std::string& field,
                         std::initializer_list<std::string_view> kinds,
                         std::string_view separator) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array() || content.empty()) {
    reject_field(field, fmt::format("'{}' wants a string or an array of text parts", field));
  }
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    if (i > 0) text += separator;
    text += text_part(content[i], fmt::format("{}[{}]", field, i), kinds);
  }
  return text;
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

}  // namespace yiti::serving
