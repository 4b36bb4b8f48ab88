#include "serving/tool_request.h"

#include <fmt/format.h>

#include <algorithm>

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxTools = 128;

bool is_function_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

void check_tool(const Json& tool, const std::string& field) {
  if (!tool.is_object()) reject_field(field, fmt::format("'{}' wants an object", field));
  RequestFields fields(tool);
  const std::string type = fields.string("type").value_or("");
  if (type != "function") {
    reject_field(field, fmt::format("'{}.type' is '{}'; only function is supported", field,
                                    type.substr(0, 64)));
  }
  const Json& function = fields.require("function");
  if (!function.is_object()) {
    reject_field(field, fmt::format("'{}.function' wants an object", field));
  }
  RequestFields inner(function);
  if (!is_function_name(inner.string("name").value_or(""))) {
    reject_field(field, fmt::format("'{}.function.name' wants up to 64 letters, digits, "
                                    "underscores, dashes or dots",
                                    field));
  }
  const Json* parameters = inner.find("parameters");
  if (parameters != nullptr && !parameters->is_object()) {
    reject_field(field, fmt::format("'{}.function.parameters' wants a JSON schema", field));
  }
}

bool has_function(const Json& tools, std::string_view name) {
  return std::any_of(tools.begin(), tools.end(),
                     [&](const Json& tool) { return tool["function"]["name"] == name; });
}

void read_choice(const Json& given, ToolRequest& request) {
  if (given == "none") {
    request.choice = ToolChoice::kNone;
  } else if (given == "auto") {
    request.choice = ToolChoice::kAuto;
  } else if (given == "required") {
    request.choice = ToolChoice::kRequired;
  } else if (given.is_object() && given.value("type", Json()) == "function" &&
             given.contains("function") && given["function"].is_object() &&
             given["function"].value("name", Json()).is_string()) {
    request.choice = ToolChoice::kRequired;
    request.named = given["function"]["name"].get<std::string>();
    if (!has_function(request.tools, request.named)) {
      reject_field("tool_choice", fmt::format("'tool_choice' names '{}', which is not in 'tools'",
                                              request.named.substr(0, 64)));
    }
  } else {
    reject_field("tool_choice",
                 "'tool_choice' wants none, auto, required or "
                 "{\"type\": \"function\", \"function\": {\"name\": …}}");
  }
}

// A schema, alone or as OpenAI wraps it.
Json wrapped_schema(const Json& format) {
  const auto wrapper = format.find("json_schema");
  if (wrapper == format.end() || !wrapper->is_object() || !wrapper->contains("schema")) {
    reject_field("response_format", "'response_format.json_schema.schema' is missing");
  }
  return (*wrapper)["schema"];
}

OutputFormat read_response_format(const Json& format) {
  const Json type = format.is_object() ? format.value("type", Json()) : Json();
  OutputFormat result;
  if (type == "text") return result;
  if (type == "json_object" && !format.contains("schema")) {
    result.kind = OutputFormat::Kind::kJsonObject;
    return result;
  }
  if (type != "json_object" && type != "json_schema") {
    reject_field("response_format",
                 "'response_format.type' wants to be text, json_object or json_schema");
  }
  result.kind = OutputFormat::Kind::kJsonSchema;
  result.schema = type == "json_object" ? format["schema"] : wrapped_schema(format);
  return result;
}

}  // namespace

ToolRequest read_tools(RequestFields& fields) {
  ToolRequest request;
  if (const Json* tools = fields.find("tools")) {
    if (!tools->is_array()) reject_field("tools", "'tools' wants an array");
    if (tools->size() > kMaxTools) {
      reject_field("tools",
                   fmt::format("'tools' has {} tools; wants at most {}", tools->size(), kMaxTools));
    }
    for (size_t i = 0; i < tools->size(); ++i) check_tool((*tools)[i], fmt::format("tools[{}]", i));
    request.tools = *tools;
    request.choice = tools->empty() ? ToolChoice::kNone : ToolChoice::kAuto;
  }
  if (const Json* choice = fields.find("tool_choice")) read_choice(*choice, request);
  if (request.choice == ToolChoice::kRequired && request.tools.empty()) {
    reject_field("tool_choice", "'tool_choice' wants 'tools'");
  }
  request.parallel = fields.boolean("parallel_tool_calls").value_or(true);
  return request;
}

OutputFormat read_output_format(RequestFields& fields) {
  const Json* format = fields.find("response_format");
  const Json* schema = fields.find("json_schema");
  const auto grammar = fields.string("grammar");
  if ((format != nullptr) + (schema != nullptr) + (grammar && !grammar->empty()) > 1) {
    reject_field("grammar", "only one of response_format, json_schema and grammar can be given");
  }
  OutputFormat result;
  if (format != nullptr) return read_response_format(*format);
  if (schema != nullptr) {
    result.kind = OutputFormat::Kind::kJsonSchema;
    result.schema = *schema;
  }
  if (grammar && !grammar->empty()) {
    result.kind = OutputFormat::Kind::kGrammar;
    result.grammar = *grammar;
  }
  return result;
}

}  // namespace yiti::serving
