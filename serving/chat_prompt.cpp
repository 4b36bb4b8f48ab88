#include "serving/chat_prompt.h"

#include <fmt/chrono.h>

#include <ctime>

#include "serving/request_fields.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

bool is_assistant(const Json& message) { return message["role"] == "assistant"; }

// Whether the answer goes on with the last message.
bool continues(const ApiRequest& request, const ServedModel& model) {
  const Json& messages = request.messages;
  if (request.continue_message) return true;
  if (!model.chat.prefill_assistant || !is_assistant(messages.back())) return false;
  if (messages.back().contains("tool_calls")) return false;
  if (messages.size() > 1 && is_assistant(messages[messages.size() - 2])) {
    reject_field("messages", "of the last two messages, at most one may be the assistant's");
  }
  return true;
}

// FireFunction's template reads its tools as text, from another variable.
bool reads_functions(const std::string& chat_template) {
  return chat_template.find("functools[") != std::string::npos;
}

Json template_variables(const ApiRequest& request, const ServedModel& model) {
  const std::string& given = model.chat.variables_json;
  Json variables = given.empty() ? Json::object() : Json::parse(given);
  if (model.chat.dates) {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    variables["date_string"] = fmt::format("{:%d %b %Y}", local);
    variables["datetime"] = fmt::format("{:%b %d %Y}", local);
  }
  const bool tools = request.tools.any();
  if (tools) variables["tools"] = request.tools.tools;
  if (reads_functions(model.text->chat->source())) {
    variables["functions"] = tools ? request.tools.tools.dump() : "";
  }
  variables.update(request.template_variables);
  return variables;
}

}  // namespace

std::string chat_text(const ApiRequest& request, const ServedModel& model) {
  const TextModel& text = *model.text;
  if (!text.chat) {
    fail(Code::kFailedPrecondition, "chat", "the model has no chat template{}{}",
         text.chat_error.empty() ? "" : " that can be used: ", text.chat_error);
  }
  const Json variables = template_variables(request, model);
  ChatOptions options;
  options.add_generation_prompt = request.generation_prompt;
  options.variables = &variables;
  if (!continues(request, model)) return text.chat->render(request.messages, options);
  options.add_generation_prompt = true;
  Json before = request.messages;
  const auto begun = before.back()["content"].get<std::string>();
  before.erase(before.size() - 1);
  return text.chat->render(before, options) + begun;
}

}  // namespace yiti::serving
