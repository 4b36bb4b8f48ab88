// From a conversation to the text that the model's chat template makes of it.
#pragma once

#include <string>

#include "serving/openai_request.h"
#include "serving/options.h"

namespace yiti::serving {

/// The request's conversation as the model's template writes it. Throws Error for a model without
/// a template and for what the template refuses, ApiException for what cannot be continued.
std::string chat_text(const ApiRequest& request, const ServedModel& model);

}  // namespace yiti::serving
