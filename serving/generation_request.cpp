#include "serving/generation_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "serving/request_fields.h"

namespace yiti::serving {
namespace {

std::vector<int32_t> encode_prompt(const Prompt& prompt, const Tokenizer& tokenizer) {
  if (const auto* text = std::get_if<std::string>(&prompt)) return tokenizer.encode(*text);
  const auto& tokens = std::get<std::vector<int32_t>>(prompt);
  for (const int32_t token : tokens) {
    if (token >= tokenizer.vocab_size()) {
      reject_field("prompt", fmt::format("token {} is not of the model's vocabulary of {}", token,
                                         tokenizer.vocab_size()));
    }
  }
  return tokens;
}

std::vector<std::vector<int32_t>> encode_prompts(const ApiRequest& request, const TextModel& text) {
  if (request.api == Api::kChat) return {text.chat_prompt(request.messages)};
  std::vector<std::vector<int32_t>> prompts;
  for (const Prompt& prompt : request.prompts) {
    prompts.push_back(encode_prompt(prompt, text.tokenizer));
  }
  return prompts;
}

uint64_t random_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

}  // namespace

std::vector<GenerateRequest> generate_requests(const ApiRequest& request,
                                               const ServedModel& model) {
  const char* field = request.api == Api::kChat ? "messages" : "prompt";
  GenerateRequest common;
  common.sampling = merge_sampling(model.sampling.value_or(model.text->sampling), request.sampling);
  if (!request.sampling.seed) common.sampling.seed = random_seed();
  common.stop_tokens = model.text->stop_tokens;
  common.top_logprobs = request.top_logprobs;
  std::vector<GenerateRequest> result;
  for (std::vector<int32_t>& prompt : encode_prompts(request, *model.text)) {
    if (prompt.empty()) reject_field(field, fmt::format("'{}' gives no tokens", field));
    const int64_t room = model.generator->context_length() - static_cast<int64_t>(prompt.size());
    if (room < 1) {
      reject_field(field,
                   fmt::format("the prompt has {} tokens; this model's context holds {}, the "
                               "answer included",
                               prompt.size(), model.generator->context_length()),
                   "context_length_exceeded");
    }
    common.max_tokens = std::min(request.max_tokens.value_or(room), room);
    common.prompt = std::move(prompt);
    for (int k = 0; k < request.n; ++k) {
      result.push_back(common);
      result.back().sampling.seed += static_cast<uint64_t>(k);
    }
  }
  return result;
}

std::string random_hex(int words) {
  std::random_device device;
  std::string hex;
  for (int i = 0; i < words; ++i) hex += fmt::format("{:08x}", device());
  return hex;
}

}  // namespace yiti::serving
