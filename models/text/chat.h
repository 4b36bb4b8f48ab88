// Chat templates: conversations to the text that a model was trained on.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace yiti {

struct Message {
  std::string role;
  std::string content;
  std::string extra_json;  ///< a JSON object with further fields (tool_calls, name, …), or empty
};

/// [{"role": …, "content": …, …}, …]. Throws kInvalidArgument where extra_json is not an object.
nlohmann::ordered_json messages_to_json(std::span<const Message> messages);

/// What templates read as bos_token and so on; empty: not defined.
struct SpecialTokenTexts {
  std::string bos, eos, pad, unk;
};

struct ChatOptions {
  bool add_generation_prompt = false;
  /// An object with further variables, such as tools, documents, enable_thinking.
  const nlohmann::ordered_json* variables = nullptr;
  std::optional<int64_t> now_unix_s;  ///< what strftime_now takes as now; unset: the clock
};

/// Bytes [begin, end) of a text.
struct TextSpan {
  int64_t begin, end;
};

struct RenderedChat {
  std::string text;
  std::vector<TextSpan> assistant;  ///< in order, not overlapping
};

/// A Jinja template as transformers runs it (trim_blocks, lstrip_blocks, loop controls). Rendering
/// is bounded in steps, depth and output. Immutable and thread-safe; copies share it.
class ChatTemplate {
 public:
  /// kInvalidArgument with line and reason for what does not parse or is too large or deep.
  static Result<ChatTemplate> parse(std::string_view source, SpecialTokenTexts special = {});

  /// Throws kInvalidArgument (the template raised an exception or misuses a value),
  /// kResourceExhausted (a bound was hit).
  std::string render(const nlohmann::ordered_json& messages, const ChatOptions& options = {}) const;
  std::string render(std::span<const Message> messages, const ChatOptions& options = {}) const;

  /// The whole conversation and which bytes the assistant says: each assistant message's content
  /// with what ends its turn (<|im_end|>, …). From the template's generation blocks where it has
  /// them, else by rendering prefixes of the conversation, for which the template must render a
  /// longer conversation as a continuation of a shorter one (kFailedPrecondition if not).
  RenderedChat render_with_spans(const nlohmann::ordered_json& messages,
                                 const ChatOptions& options = {}) const;

  const std::string& source() const;

 private:
  struct Parsed;
  explicit ChatTemplate(std::shared_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}
  std::shared_ptr<const Parsed> parsed_;
};

}  // namespace yiti
