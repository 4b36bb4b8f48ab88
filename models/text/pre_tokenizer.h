// Cutting text into the pieces within which byte pairs are merged.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/text/regex.h"
#include "models/text/tokenizer.h"

namespace yiti {

/// The steps of a pre-tokenizer known by name (the names of GGUF's tokenizer.ggml.pre). Fails with
/// kUnimplemented for a name that yiti does not know.
std::vector<PreTokenizerStep> pre_tokenizer_steps(std::string_view name);

/// The split that GPT-2 made and that tokenizer.json calls ByteLevel.
std::string_view gpt2_pattern();

/// Immutable and thread-safe.
class PreTokenizer {
 public:
  explicit PreTokenizer(const std::vector<PreTokenizerStep>& steps);

  /// The pieces of `text` (valid UTF-8) in order, views into it.
  std::vector<std::string_view> split(std::string_view text) const;

 private:
  struct Step {
    PreTokenizerStep::Kind kind;
    bool invert;
    Regex regex;
  };
  std::vector<Step> steps_;
};

}  // namespace yiti
