// Common chat templates by name, for model files that come without one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace yiti {

/// The Jinja source of chatml, command-r, llama3, phi3 or zephyr, which write a conversation as the
/// models of that name were trained on it; nullopt for other names. They have no tools.
std::optional<std::string_view> named_chat_template(std::string_view name);

/// The names that named_chat_template() knows.
std::vector<std::string> chat_template_names();

}  // namespace yiti
