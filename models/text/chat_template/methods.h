// The methods of strings, mappings and lists.
#pragma once

#include <optional>
#include <string_view>

#include "models/text/chat_template/value.h"

namespace yiti::jinja {

/// object.name as something to call; nothing where there is no such method.
std::optional<Value> find_method(const Value& object, std::string_view name);
std::optional<Value> find_string_method(const Value& object, std::string_view name);

}  // namespace yiti::jinja
