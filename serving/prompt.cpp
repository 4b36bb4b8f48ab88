#include "serving/prompt.h"

#include <fmt/format.h>

#include <algorithm>

#include "serving/request_fields.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxPrompts = 128;

[[noreturn]] void reject(std::string_view field) {
  reject_field(field,
               fmt::format("'{}' wants a string, strings, tokens or lists of tokens", field));
}

int32_t read_token(const Json& given, std::string_view field) {
  if (!given.is_number_unsigned() || given.get<uint64_t>() > INT32_MAX) {
    reject_field(field, fmt::format("'{}' as tokens wants integers of 0 or more", field));
  }
  return given.get<int32_t>();
}

Prompt read_token_list(const Json& given, std::string_view field) {
  std::vector<int32_t> tokens;
  std::vector<PromptPart> parts;
  for (const Json& one : given) {
    if (one.is_string()) {
      parts.emplace_back(one.get<std::string>());
    } else {
      tokens.push_back(read_token(one, field));
      parts.emplace_back(tokens.back());
    }
  }
  if (tokens.size() == parts.size()) return tokens;
  return parts;
}

Prompt read_prompt(const Json& given, std::string_view field) {
  if (given.is_string()) return given.get<std::string>();
  if (given.is_array() && !given.empty()) return read_token_list(given, field);
  if (!given.is_object()) reject(field);
  RequestFields fields(given);
  const auto text = fields.string("prompt_string");
  if (!text) reject(field);
  fields.refuse_unknown();
  return *text;
}

}  // namespace

std::vector<Prompt> read_prompts(const Json& given, std::string_view field) {
  if (!given.is_array()) return {read_prompt(given, field)};
  if (given.empty()) reject(field);
  if (std::any_of(given.begin(), given.end(), [](const Json& one) { return one.is_number(); })) {
    return {read_token_list(given, field)};
  }
  if (given.size() > kMaxPrompts) {
    reject_field(field, fmt::format("'{}' has {} prompts; wants at most {}", field, given.size(),
                                    kMaxPrompts));
  }
  std::vector<Prompt> prompts;
  for (const Json& one : given) prompts.push_back(read_prompt(one, field));
  return prompts;
}

std::vector<int32_t> encode_prompt(const Prompt& prompt, const Tokenizer& tokenizer,
                                   std::string_view field) {
  if (const auto* text = std::get_if<std::string>(&prompt)) return tokenizer.encode(*text);
  std::vector<int32_t> tokens;
  if (const auto* list = std::get_if<std::vector<int32_t>>(&prompt)) tokens = *list;
  if (const auto* parts = std::get_if<std::vector<PromptPart>>(&prompt)) {
    for (const PromptPart& part : *parts) {
      if (const auto* token = std::get_if<int32_t>(&part)) {
        tokens.push_back(*token);
        continue;
      }
      const std::vector<int32_t> encoded =
          tokenizer.encode(std::get<std::string>(part), {.add_special = tokens.empty()});
      tokens.insert(tokens.end(), encoded.begin(), encoded.end());
    }
  }
  for (const int32_t token : tokens) {
    if (token >= tokenizer.vocab_size()) {
      reject_field(field, fmt::format("token {} is not of the model's vocabulary of {}", token,
                                      tokenizer.vocab_size()));
    }
  }
  return tokens;
}

}  // namespace yiti::serving
