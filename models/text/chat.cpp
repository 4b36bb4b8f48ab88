#include "models/text/chat.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "models/text/chat_template/interpreter.h"
#include "models/text/chat_template/text_tools.h"

namespace yiti {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kWhere = jinja::kWhere;

int64_t now_of(const ChatOptions& options) {
  if (options.now_unix_s) return *options.now_unix_s;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

bool is_assistant(const ordered_json& message) {
  const auto role = message.find("role");
  return role != message.end() && role->is_string() && *role == "assistant";
}

void check_messages(const ordered_json& messages) {
  check(messages.is_array(), kWhere, "messages are no list");
  for (const ordered_json& message : messages) {
    check(message.is_object(), kWhere, "a message that is no object");
  }
}

// The end of what the assistant says: line ends after the token that closes its turn belong to
// the next turn, but not where the content has no such token after it.
int64_t end_of_turn(std::string_view rendered, const ordered_json& message) {
  using jinja::Side;
  const std::string_view bare = jinja::stripped(rendered, Side::kRight);
  const auto content = message.find("content");
  if (content != message.end() && content->is_string()) {
    const auto& text = content->get_ref<const std::string&>();
    const bool has_marker = !bare.ends_with(jinja::stripped(text, Side::kRight));
    if (!has_marker) return static_cast<int64_t>(rendered.size());
  }
  return static_cast<int64_t>(bare.size());
}

}  // namespace

struct ChatTemplate::Parsed {
  std::string source;
  SpecialTokenTexts special;
  jinja::Body body;

  jinja::Rendering render(const ordered_json& messages, bool add_generation_prompt,
                          const ChatOptions& options) const {
    check_messages(messages);
    jinja::Interpreter interpreter(now_of(options));
    const auto set_text = [&interpreter](std::string_view name, const std::string& text) {
      if (!text.empty()) interpreter.set_variable(name, jinja::Value(text));
    };
    set_text("bos_token", special.bos);
    set_text("eos_token", special.eos);
    set_text("pad_token", special.pad);
    set_text("unk_token", special.unk);
    // transformers gives these two always, as none where the caller has none.
    interpreter.set_variable("tools", jinja::Value(jinja::None{}));
    interpreter.set_variable("documents", jinja::Value(jinja::None{}));
    if (options.variables != nullptr && !options.variables->is_null()) {
      check(options.variables->is_object(), kWhere, "variables are no object");
      for (const auto& [name, value] : options.variables->items()) {
        interpreter.set_variable(name, jinja::from_json(value, interpreter.budget()));
      }
    }
    interpreter.set_variable("messages", jinja::from_json(messages, interpreter.budget()));
    interpreter.set_variable("add_generation_prompt", jinja::Value(add_generation_prompt));
    return interpreter.run(body);
  }
};

ordered_json messages_to_json(std::span<const Message> messages) {
  ordered_json out = ordered_json::array();
  for (const Message& message : messages) {
    ordered_json entry{{"role", message.role}, {"content", message.content}};
    if (!message.extra_json.empty()) {
      const ordered_json extra = ordered_json::parse(message.extra_json, nullptr, false);
      check(extra.is_object(), kWhere, "a message's further fields are no JSON object");
      entry.update(extra);
    }
    out.push_back(std::move(entry));
  }
  return out;
}

Result<ChatTemplate> ChatTemplate::parse(std::string_view source, SpecialTokenTexts special) {
  return capture_errors(kWhere, [&] {
    return ChatTemplate(std::make_shared<const Parsed>(
        Parsed{std::string(source), std::move(special), jinja::parse(source)}));
  });
}

std::string ChatTemplate::render(const ordered_json& messages, const ChatOptions& options) const {
  return parsed_->render(messages, options.add_generation_prompt, options).text;
}

std::string ChatTemplate::render(std::span<const Message> messages,
                                 const ChatOptions& options) const {
  return render(messages_to_json(messages), options);
}

RenderedChat ChatTemplate::render_with_spans(const ordered_json& messages,
                                             const ChatOptions& options) const {
  jinja::Rendering whole = parsed_->render(messages, options.add_generation_prompt, options);
  RenderedChat out{std::move(whole.text), {}};
  if (!whole.generations.empty()) {
    for (const auto& [begin, end] : whole.generations) out.assistant.push_back({begin, end});
    return out;
  }
  const auto check_prefix = [&out](const std::string& prefix, size_t count, const char* what) {
    if (out.text.starts_with(prefix)) return;
    fail(Code::kFailedPrecondition, kWhere,
         "cannot tell what the assistant says: the first {} messages{} do not render as the "
         "beginning of the conversation. Use a template with generation blocks, or conversations "
         "with one answer",
         count, what);
  };
  ordered_json first = ordered_json::array();
  for (size_t i = 0; i < messages.size(); ++i) {
    if (is_assistant(messages[i])) {
      const std::string prompt = parsed_->render(first, true, options).text;
      check_prefix(prompt, i, " and the generation prompt");
      first.push_back(messages[i]);
      const std::string answered = parsed_->render(first, false, options).text;
      check_prefix(answered, i + 1, "");
      const auto begin = static_cast<int64_t>(prompt.size());
      if (answered.size() < prompt.size()) check_prefix("\xFF", i + 1, "");
      const std::string_view said = std::string_view(answered).substr(prompt.size());
      out.assistant.push_back({begin, begin + end_of_turn(said, messages[i])});
    } else {
      first.push_back(messages[i]);
    }
  }
  return out;
}

const std::string& ChatTemplate::source() const { return parsed_->source; }

}  // namespace yiti
