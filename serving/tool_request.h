// The tools of a chat request, and what is asked of the answer's form.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "serving/request_fields.h"

namespace yiti::serving {

enum class ToolChoice : uint8_t { kNone, kAuto, kRequired };

struct ToolRequest {
  nlohmann::ordered_json tools = nlohmann::ordered_json::array();  ///< as OpenAI writes them
  ToolChoice choice = ToolChoice::kNone;
  std::string named;     ///< the function that must be called; empty: any
  bool parallel = true;  ///< whether there may be several calls
  bool any() const { return !tools.empty() && choice != ToolChoice::kNone; }
};

/// Reads `tools`, `tool_choice` and `parallel_tool_calls`. Throws ApiException naming the field.
ToolRequest read_tools(RequestFields& fields);

/// What text a request wants.
struct OutputFormat {
  enum class Kind : uint8_t { kText, kJsonObject, kJsonSchema, kGrammar };
  Kind kind = Kind::kText;
  nlohmann::ordered_json schema;
  std::string grammar;  ///< in GBNF
};

/// Reads `response_format`, and llama.cpp's `json_schema` and `grammar`. Throws ApiException.
OutputFormat read_output_format(RequestFields& fields);

}  // namespace yiti::serving
