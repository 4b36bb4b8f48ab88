#include "serving/generation_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <random>

#include "inference/grammar/gbnf.h"
#include "inference/grammar/grammar_constraint.h"
#include "inference/grammar/json_schema.h"
#include "serving/api_error.h"
#include "serving/chat_prompt.h"
#include "serving/request_fields.h"

namespace yiti::serving {
namespace {

std::vector<std::vector<int32_t>> encode_prompts(const ApiRequest& request,
                                                 const ServedModel& model) {
  const Tokenizer& tokenizer = model.text->tokenizer;
  if (!request.messages.is_null()) {
    return {tokenizer.encode(chat_text(request, model), {.add_special = false})};
  }
  std::vector<std::vector<int32_t>> prompts;
  for (const Prompt& prompt : request.prompts) {
    prompts.push_back(encode_prompt(prompt, tokenizer, "prompt"));
  }
  return prompts;
}

uint64_t random_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

std::vector<TokenBias> token_biases(const SamplingWishes& wishes, const TextModel& text) {
  std::vector<TokenBias> biases;
  for (const BiasWish& wish : wishes.logit_bias) {
    if (const auto* token = std::get_if<int32_t>(&wish.what)) {
      if (*token >= text.tokenizer.vocab_size()) {
        reject_field("logit_bias", fmt::format("'logit_bias' names token {}; the vocabulary has {}",
                                               *token, text.tokenizer.vocab_size()));
      }
      biases.push_back({*token, wish.bias});
      continue;
    }
    for (const int32_t token :
         text.tokenizer.encode(std::get<std::string>(wish.what), {.add_special = false})) {
      biases.push_back({token, wish.bias});
    }
  }
  if (wishes.ignore_eos) {
    for (const int32_t token : text.stop_tokens) {
      biases.push_back({token, -std::numeric_limits<float>::infinity()});
    }
  }
  return biases;
}

std::optional<ToolSyntax> syntax_of_tools(const ApiRequest& request, const TextModel& text) {
  if (!request.tools.any()) return std::nullopt;
  const auto syntax = text.chat ? tool_syntax(text.chat->source()) : std::nullopt;
  if (!syntax) {
    reject_field("tools", "the model's chat template defines no tools in a way that is supported",
                 "unsupported_parameter");
  }
  return syntax;
}

std::optional<Grammar> grammar_of(const ApiRequest& request, std::optional<ToolSyntax> syntax) {
  if (syntax && request.tools.choice == ToolChoice::kRequired) {
    return tool_call_grammar(*syntax, request.tools);
  }
  switch (request.format.kind) {
    case OutputFormat::Kind::kText: return std::nullopt;
    case OutputFormat::Kind::kJsonObject: return json_object_grammar();
    case OutputFormat::Kind::kJsonSchema: return json_schema_grammar(request.format.schema);
    case OutputFormat::Kind::kGrammar: return parse_gbnf(request.format.grammar);
  }
  return std::nullopt;
}

std::shared_ptr<const TokenConstraint> constraint_of(const ApiRequest& request,
                                                     const TextModel& text,
                                                     std::optional<ToolSyntax> syntax) {
  try {
    std::optional<Grammar> grammar = grammar_of(request, syntax);
    if (!grammar) return nullptr;
    return constrain(*std::move(grammar), text.tokenizer, text.stop_tokens);
  } catch (const Error& error) {
    // Too large or not supported: the request's fault all the same.
    const bool tools = syntax && request.tools.choice == ToolChoice::kRequired;
    const bool grammar = request.format.kind == OutputFormat::Kind::kGrammar;
    reject_field(tools ? "tools" : grammar ? "grammar" : "response_format", error.what());
  }
}

const char* field_of_prompt(Api api) {
  switch (api) {
    case Api::kChat: return "messages";
    case Api::kResponses:
    case Api::kNativeResponses: return "input";
    case Api::kCompletion:
    case Api::kNative: break;
  }
  return "prompt";
}

}  // namespace

void check_prompt_fits(size_t tokens, int64_t context_length, std::string_view field) {
  if (static_cast<int64_t>(tokens) < context_length) return;
  throw ApiException(
      {.message = fmt::format("the prompt has {} tokens; this model's context holds {}, the "
                              "answer included",
                              tokens, context_length),
       .type = "exceed_context_size_error",
       .param = std::string(field),
       .code = "context_length_exceeded",
       .numbers = {{"n_prompt_tokens", static_cast<int64_t>(tokens)}, {"n_ctx", context_length}}});
}

PreparedRequest prepare_request(const ApiRequest& request, const ServedModel& model,
                                const ServerOptions& options) {
  const TextModel& text = *model.text;
  const char* field = field_of_prompt(request.api);
  PreparedRequest result;
  result.tools = syntax_of_tools(request, text);
  GenerateRequest common;
  common.sampling = merge_sampling(model.sampling.value_or(text.sampling), request.sampling);
  if (!request.sampling.seed && !model.fixed_seed) common.sampling.seed = random_seed();
  common.sampling.logit_bias = token_biases(request.sampling, text);
  common.stop_tokens = text.stop_tokens;
  common.top_logprobs = request.top_logprobs;
  common.sampled_logprobs = request.native.sampled_probabilities;
  common.constraint = constraint_of(request, text, result.tools);
  for (std::vector<int32_t>& prompt : encode_prompts(request, model)) {
    if (prompt.empty()) reject_field(field, fmt::format("'{}' gives no tokens", field));
    check_prompt_fits(prompt.size(), model.generator->context_length(), field);
    int64_t room = model.generator->context_length() - static_cast<int64_t>(prompt.size());
    if (options.max_tokens > 0) room = std::min(room, options.max_tokens);
    const int64_t usual = options.default_max_tokens > 0 ? options.default_max_tokens : room;
    common.max_tokens = std::min(request.max_tokens.value_or(usual), room);
    if (request.echo || request.verbose || request.api == Api::kNative) {
      result.prompt_texts.push_back(text.tokenizer.decode(prompt, request.echo));
    }
    common.prompt = std::move(prompt);
    for (int k = 0; k < request.n; ++k) {
      result.generations.push_back(common);
      result.generations.back().sampling.seed += static_cast<uint64_t>(k);
    }
  }
  return result;
}

}  // namespace yiti::serving
