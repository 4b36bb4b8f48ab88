// From an API request to what a generator is asked for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/generator.h"
#include "serving/openai_request.h"
#include "serving/options.h"
#include "serving/tool_syntax.h"

namespace yiti::serving {

struct PreparedRequest {
  std::vector<GenerateRequest> generations;  ///< n for each prompt, prompts outermost
  std::vector<std::string> prompt_texts;     ///< of each prompt, where the answer repeats it
  std::optional<ToolSyntax> tools;           ///< how the answer may call tools
};

/// A generation has the tokens that it asks for, or else the options' default, but not more than
/// the context and the options allow. Without a seed draws one; choice k of a prompt adds k to it.
/// Throws ApiException for a prompt that is empty, too long or not of the vocabulary, for tools
/// that the model's template does not have, and for grammars and schemas that cannot be kept; Error
/// for what the chat template refuses.
PreparedRequest prepare_request(const ApiRequest& request, const ServedModel& model,
                                const ServerOptions& options);

/// Throws ApiException where a prompt of so many tokens leaves no room for an answer.
void check_prompt_fits(size_t tokens, int64_t context_length, std::string_view field);

}  // namespace yiti::serving
