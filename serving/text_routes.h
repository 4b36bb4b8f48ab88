// Routes that need a model's text side only: tokens, templates, and what llama.cpp's clients ask.
#pragma once

#include <string>

#include "serving/options.h"
#include "serving/request_fields.h"

namespace yiti::serving {

/// Answers a request, whose model was found, by JSON text. Throws ApiException.
using TextRoute = std::string (*)(RequestFields& fields, const ServedModel& model);

/// llama.cpp's shape for `content`, vLLM's for `prompt` and `messages`.
std::string tokenize(RequestFields& fields, const ServedModel& model);
std::string detokenize(RequestFields& fields, const ServedModel& model);
/// A chat request's prompt as the template writes it.
std::string apply_template(RequestFields& fields, const ServedModel& model);
/// How many tokens a chat request's prompt has.
std::string count_input(RequestFields& fields, const ServedModel& model);

/// llama.cpp's GET /props and /slots.
std::string props_json(const ServedModel& model);
std::string slots_json(const ServedModel& model);

}  // namespace yiti::serving
