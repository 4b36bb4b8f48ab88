// From an API request to what a generator is asked for.
#pragma once

#include <vector>

#include "models/generator.h"
#include "serving/openai_request.h"
#include "serving/options.h"

namespace yiti::serving {

/// n generations for each prompt, prompts outermost. Without max_tokens, and where it asks for
/// more, a generation may fill the context. Without a seed draws one; choice k of a prompt adds k
/// to it. Throws ApiException for a prompt that is empty, too long or not of the vocabulary, Error
/// for what the chat template refuses.
std::vector<GenerateRequest> generate_requests(const ApiRequest& request, const ServedModel& model);

/// Random hexadecimal digits, 8 for each word.
std::string random_hex(int words);

}  // namespace yiti::serving
