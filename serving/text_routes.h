// Routes that need a model's text side only: tokens, templates, and what llama.cpp's clients ask.
#pragma once

#include <string>
#include <string_view>

#include "serving/options.h"

namespace yiti::serving {

/// The `model` of a request; empty where it is left out. Throws Error for bad JSON.
std::string model_of(std::string_view body);

/// llama.cpp's shape for `content`, vLLM's for `prompt` and `messages`. All throw ApiException.
std::string tokenize(std::string_view body, const ServedModel& model);
std::string detokenize(std::string_view body, const ServedModel& model);
/// A chat request's prompt as the template writes it.
std::string apply_template(std::string_view body, const ServedModel& model);
/// How many tokens a chat request's prompt has.
std::string count_input(std::string_view body, const ServedModel& model);
/// llama.cpp's GET /props and /slots.
std::string props_json(const ServedModel& model);
std::string slots_json(const ServedModel& model);

}  // namespace yiti::serving
