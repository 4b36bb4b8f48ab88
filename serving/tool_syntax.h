// How models write the calls of tools: as grammars for those that must call, and back to calls.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/grammar/grammar.h"
#include "serving/tool_request.h"

namespace yiti::serving {

enum class ToolSyntax : uint8_t {
  /// `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, one for each call (Hermes, Qwen).
  kTagged,
  /// `{"name": …, "parameters": {…}}` as the whole answer, several with semicolons (Llama 3.1).
  kBare,
};

/// How a model with this chat template writes calls, or nullopt where the template defines no
/// tools, or in a way that is not known.
std::optional<ToolSyntax> tool_syntax(std::string_view chat_template);

/// Answers that call at least one of the tools, with arguments of its schema. Throws Error for
/// schemas that cannot be kept.
Grammar tool_call_grammar(ToolSyntax syntax, const ToolRequest& request);

struct ToolCall {
  std::string name;
  std::string arguments;  ///< JSON
};

/// What became certain of an answer.
struct ParsedReply {
  std::string text;
  std::vector<ToolCall> calls;
};

/// Separates calls from text, as the answer comes. What is no well-formed call stays text. One
/// thread at a time.
class ToolCallParser {
 public:
  explicit ToolCallParser(ToolSyntax syntax) : syntax_(syntax) {}
  ParsedReply push(std::string_view text);
  /// What is left; call once, at the end.
  ParsedReply finish();

 private:
  void push_tagged(ParsedReply& reply);

  ToolSyntax syntax_;
  std::string held_;
  bool decided_ = false;  // bare: that the answer is no call
  bool called_ = false;
};

}  // namespace yiti::serving
