// The text side of a model file: tokenizer, chat template, stop tokens, sampling defaults.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "models/generator.h"
#include "models/text/chat.h"
#include "models/text/tokenizer.h"

namespace yiti {

class GgufMetadata;

/// A conversation as tokens; `assistant` says, for each token, whether the assistant says it (1)
/// and so whether the loss counts it.
struct TokenizedChat {
  std::vector<int32_t> ids;
  std::vector<uint8_t> assistant;
};

/// Immutable after loading, then thread-safe; cheap to copy.
struct TextModel {
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat;
  std::string chat_error;            ///< why there is no `chat` though the file has a template
  std::vector<int32_t> stop_tokens;  ///< ascending: EOS and what ends a turn
  Sampling sampling;                 ///< the file's recommendation; greedy where it has none

  /// A conversation's prompt: the template's text with the generation prompt, as tokens. Without a
  /// template throws kFailedPrecondition.
  std::vector<int32_t> chat_prompt(const nlohmann::ordered_json& messages,
                                   const nlohmann::ordered_json* variables = nullptr) const;
  /// A whole conversation for training.
  TokenizedChat tokenize_chat(const nlohmann::ordered_json& messages,
                              const nlohmann::ordered_json* variables = nullptr) const;
};

/// From the keys of a GGUF file.
Result<TextModel> text_model_from_gguf(const GgufMetadata& metadata);

/// From a GGUF file or a Hugging Face folder (tokenizer.json, tokenizer_config.json,
/// chat_template.jinja, generation_config.json).
Result<TextModel> load_text_model(const std::filesystem::path& path);

}  // namespace yiti
