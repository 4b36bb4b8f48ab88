// OpenAI's response objects, and the events of their streams.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "serving/json_text.h"
#include "serving/reply_writer.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

Json text_part(const std::string& text) {
  return {{"type", "output_text"},
          {"text", text},
          {"annotations", Json::array()},
          {"logprobs", Json::array()}};
}

class ResponsesWriter final : public ReplyWriter {
 public:
  explicit ResponsesWriter(ReplyContext context)
      : context_(std::move(context)), item_id_("msg_" + context_.head.id.substr(5)) {}

  std::string progress(int64_t /*choice*/, const PromptProgress& progress) override {
    std::string events = begin();
    events += event("response.in_progress", {{"response", response("in_progress", nullptr)},
                                             {"prompt_progress", progress_json(progress)}});
    return events;
  }

  std::string delta(const ReplyChoice& choice, const ReplyState& state) override {
    std::string events = begin();
    events += begin_item();
    text_ += choice.text;
    finish_reason_ = choice.finish_reason;
    if (!choice.text.empty()) {
      Json fields = {{"delta", choice.text}, {"logprobs", Json::array()}};
      fields.update(timings_field(context_, state));
      events += part_event("response.output_text.delta", fields);
    }
    return events;
  }

  std::string end(const ReplyState& state) override {
    const std::string status = item_status();
    std::string events =
        part_event("response.output_text.done", {{"text", text_}, {"logprobs", Json::array()}});
    events += part_event("response.content_part.done", {{"part", text_part(text_)}});
    events += event("response.output_item.done",
                    {{"output_index", 0}, {"item", item(status, text_part(text_))}});
    Json fields = {{"response", response(status, &state)}};
    fields.update(timings_field(context_, state));
    return events + event("response." + status, std::move(fields));
  }

  std::string failure(const ApiError& error) override {
    return event("error", {{"code", error.code}, {"message", error.message}, {"param", nullptr}});
  }

  std::string whole(const std::vector<ReplyChoice>& choices, const ReplyState& state) override {
    text_ = choices[0].text;
    finish_reason_ = choices[0].finish_reason;
    Json json = response(item_status(), &state);
    json.update(timings_field(context_, state));
    return json_text(json);
  }

 private:
  // The first time only, as begin_item().
  std::string begin() {
    if (std::exchange(begun_, true)) return {};
    std::string events =
        event("response.created", {{"response", response("in_progress", nullptr)}});
    return events + event("response.in_progress", {{"response", response("in_progress", nullptr)}});
  }

  std::string begin_item() {
    if (std::exchange(item_begun_, true)) return {};
    std::string events = event("response.output_item.added",
                               {{"output_index", 0}, {"item", item("in_progress", nullptr)}});
    return events + part_event("response.content_part.added", {{"part", text_part("")}});
  }

  std::string event(const std::string& type, Json fields) {
    Json json = {{"type", type}, {"sequence_number", sequence_++}};
    json.update(fields);
    return fmt::format("event: {}\ndata: {}\n\n", type, json_text(json));
  }

  // Of the only part of the only item.
  std::string part_event(const std::string& type, const Json& fields) {
    Json json = {{"item_id", item_id_}, {"output_index", 0}, {"content_index", 0}};
    json.update(fields);
    return event(type, std::move(json));
  }

  std::string item_status() const {
    const bool cut = finish_reason_ == "length" && context_.request.api == Api::kResponses;
    return cut ? "incomplete" : "completed";
  }

  Json item(const std::string& status, const Json& part) const {
    return {{"id", item_id_},
            {"type", "message"},
            {"status", status},
            {"role", "assistant"},
            {"content", part.is_null() ? Json::array() : Json::array({part})}};
  }

  // `end` is null while it is under way.
  Json response(const std::string& status, const ReplyState* end) const {
    const Json reason = status == "incomplete" ? Json({{"reason", "max_output_tokens"}}) : Json();
    Json json = {{"id", context_.head.id},
                 {"object", "response"},
                 {"created_at", context_.head.created_unix_s},
                 {"status", status},
                 {"error", nullptr},
                 {"incomplete_details", reason},
                 {"instructions", nullptr},
                 {"max_output_tokens", nullptr},
                 {"model", context_.head.model},
                 {"output", Json::array()},
                 {"parallel_tool_calls", true},
                 {"previous_response_id", nullptr},
                 {"store", false},
                 {"temperature", context_.sampling.temperature},
                 {"tool_choice", "none"},
                 {"tools", Json::array()},
                 {"top_p", context_.sampling.top_p},
                 {"truncation", "disabled"},
                 {"metadata", Json::object()},
                 {"usage", nullptr}};
    if (context_.request.max_tokens) json["max_output_tokens"] = *context_.request.max_tokens;
    if (end == nullptr) return json;
    const Usage& usage = end->usage;
    json["output"].push_back(item(status, text_part(text_)));
    json["usage"] = {{"input_tokens", usage.prompt_tokens},
                     {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
                     {"output_tokens", usage.completion_tokens},
                     {"output_tokens_details", {{"reasoning_tokens", 0}}},
                     {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
    return json;
  }

  ReplyContext context_;
  const std::string item_id_;
  std::string text_, finish_reason_;
  int64_t sequence_ = 0;
  bool begun_ = false, item_begun_ = false;
};

}  // namespace

std::unique_ptr<ReplyWriter> make_responses_writer(ReplyContext context) {
  return std::make_unique<ResponsesWriter>(std::move(context));
}

}  // namespace yiti::serving
