// The conversation of a chat request, as chat templates read it.
#pragma once

#include <nlohmann/json.hpp>

#include "serving/request_fields.h"

namespace yiti::serving {

/// Reads `messages`: roles system, developer, user, assistant and tool. The result has for each
/// message a role and a content, both strings, and maybe a name, tool_call_id or tool_calls, whose
/// arguments are objects where they are JSON. Text parts become lines, the assistant's paragraphs,
/// as with llama.cpp where an answer goes on with them. Throws ApiException naming the field.
nlohmann::ordered_json read_messages(RequestFields& fields);

/// A string, or text parts, with `separator` between them. `kinds` are the types that a part may
/// have.
std::string read_content(const nlohmann::ordered_json& content, const std::string& field,
                         std::initializer_list<std::string_view> kinds,
                         std::string_view separator = "\n");

}  // namespace yiti::serving
