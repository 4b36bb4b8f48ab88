#include "serving/tool_syntax.h"

#include <algorithm>

#include "inference/grammar/json_grammar.h"
#include "inference/grammar/json_schema.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;
using Id = GrammarBuilder::Id;

constexpr std::string_view kOpen = "<tool_call>", kClose = "</tool_call>";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// A call's object, in either syntax.
std::optional<ToolCall> read_call(std::string_view text) {
  const Json json = Json::parse(trimmed(text), nullptr, false);
  if (!json.is_object() || !json.contains("name") || !json["name"].is_string()) {
    return std::nullopt;
  }
  for (const char* key : {"arguments", "parameters"}) {
    const auto found = json.find(key);
    if (found == json.end()) continue;
    if (!found->is_object()) return std::nullopt;
    return ToolCall{json["name"].get<std::string>(), found->dump()};
  }
  return std::nullopt;
}

// One call or several, with semicolons; empty where it is something else.
std::vector<ToolCall> read_bare_calls(std::string_view text) {
  if (const auto call = read_call(text)) return {*call};
  std::vector<ToolCall> calls;
  for (size_t at = text.find(';'); at != std::string_view::npos; at = text.find(';', at + 1)) {
    const auto call = read_call(text.substr(0, at));
    if (!call) continue;  // a semicolon inside of a string
    std::vector<ToolCall> rest = read_bare_calls(text.substr(at + 1));
    if (rest.empty()) return {};
    calls = {*call};
    calls.insert(calls.end(), rest.begin(), rest.end());
    return calls;
  }
  return {};
}

// How many bytes at the end of `text` are the beginning of `tag`.
size_t begun(std::string_view text, std::string_view tag) {
  for (size_t size = std::min(text.size(), tag.size() - 1); size > 0; --size) {
    if (text.ends_with(tag.substr(0, size))) return size;
  }
  return 0;
}

}  // namespace

std::optional<ToolSyntax> tool_syntax(std::string_view chat_template) {
  if (chat_template.find("tools") == std::string_view::npos) return std::nullopt;
  if (chat_template.find(kOpen) != std::string_view::npos) return ToolSyntax::kTagged;
  if (chat_template.find("\"parameters\": ") != std::string_view::npos ||
      chat_template.find("Environment: ipython") != std::string_view::npos) {
    return ToolSyntax::kBare;
  }
  return std::nullopt;
}

Grammar tool_call_grammar(ToolSyntax syntax, const ToolRequest& request) {
  const bool tagged = syntax == ToolSyntax::kTagged;
  GrammarBuilder builder;
  JsonGrammar json(builder);
  std::vector<Id> calls;
  for (const Json& tool : request.tools) {
    const Json& function = tool["function"];
    const auto name = function["name"].get<std::string>();
    if (!request.named.empty() && name != request.named) continue;
    const Id arguments = function.contains("parameters") && !function["parameters"].is_null()
                             ? json_schema_expression(builder, json, function["parameters"],
                                                      "$tool" + std::to_string(calls.size()))
                             : json.object();
    const std::string head =
        "{\"name\": " + Json(name).dump() + ", \"" + (tagged ? "arguments" : "parameters") + "\": ";
    calls.push_back(builder.sequence({builder.literal(head), arguments, builder.literal("}")}));
  }
  Id one = builder.choice(std::move(calls));
  if (tagged) {
    one = builder.sequence({builder.literal(std::string(kOpen) + "\n"), one,
                            builder.literal("\n" + std::string(kClose))});
  }
  const Id more = builder.sequence({builder.literal(tagged ? "\n" : "; "), one});
  const int64_t most = request.parallel ? GrammarBuilder::kAnyNumber : 0;
  builder.define("root", builder.sequence({one, builder.repeat(more, 0, most)}));
  return builder.build("root");
}

ParsedReply ToolCallParser::push(std::string_view text) {
  ParsedReply reply;
  held_ += text;
  if (syntax_ == ToolSyntax::kTagged) {
    push_tagged(reply);
  } else if (!decided_) {
    // A call is the whole answer: its first character decides, and then its end.
    const std::string_view begin = trimmed(held_);
    decided_ = !begin.empty() && begin[0] != '{';
  }
  if (decided_) reply.text += std::exchange(held_, {});
  return reply;
}

void ToolCallParser::push_tagged(ParsedReply& reply) {
  while (true) {
    const size_t open = held_.find(kOpen);
    if (open == std::string::npos) break;
    const size_t close = held_.find(kClose, open);
    const std::string before = held_.substr(0, open);
    // White space sets a call off, and is no text of the answer.
    if (!trimmed(before).empty()) reply.text += before;
    held_.erase(0, open);
    if (close == std::string::npos) return;
    const size_t size = close - open + kClose.size();
    const size_t inner = kOpen.size();
    const auto call = read_call(std::string_view(held_).substr(inner, close - open - inner));
    if (call) {
      reply.calls.push_back(*call);
      called_ = true;
    } else {
      reply.text += held_.substr(0, size);
    }
    held_.erase(0, size);
  }
  // What may become a tag waits, and so does white space, which may stand before one.
  size_t kept = begun(held_, kOpen);
  while (kept < held_.size() && std::string_view(" \n\r\t").find(held_[held_.size() - kept - 1]) !=
                                    std::string_view::npos) {
    ++kept;
  }
  reply.text += held_.substr(0, held_.size() - kept);
  held_.erase(0, held_.size() - kept);
}

ParsedReply ToolCallParser::finish() {
  ParsedReply reply;
  if (syntax_ == ToolSyntax::kBare && !decided_) reply.calls = read_bare_calls(held_);
  const bool only_space = called_ && trimmed(held_).empty();
  if (reply.calls.empty() && !only_space) reply.text = std::move(held_);
  held_.clear();
  return reply;
}

}  // namespace yiti::serving
