// Chat and completion replies, whole or as chunks.
#include <set>

#include "serving/reply_writer.h"
#include "serving/sse.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

class OpenAiWriter final : public ReplyWriter {
 public:
  explicit OpenAiWriter(ReplyContext context) : context_(std::move(context)) {}

  std::string progress(int64_t choice, const PromptProgress& progress) override {
    ReplyChoice nothing;
    nothing.index = choice;
    ChunkOptions options = chunk_options({});
    options.more["prompt_progress"] = progress_json(progress);
    return beginning(choice) + sse_event(chunk_json(context_.head, nothing, options));
  }

  std::string delta(const ReplyChoice& choice, const ReplyState& state) override {
    std::string events = beginning(choice.index);
    ChunkOptions options = chunk_options(state.fingerprint);
    options.more = timings_field(context_, state);
    if (context_.request.continuous_usage) options.more["usage"] = usage_json(state.usage);
    const auto add = [&](const ReplyChoice& part) {
      events += sse_event(chunk_json(context_.head, part, options));
    };
    const bool says = !choice.text.empty() || !choice.tool_calls.empty();
    if (choice.finish_reason.empty()) {
      if (says) add(choice);
      return events;
    }
    // The text that was held back goes before the end, as clients expect an empty last delta.
    if (says || !choice.details.empty()) {
      ReplyChoice rest = choice;
      rest.finish_reason.clear();
      add(rest);
    }
    ReplyChoice last;
    last.index = choice.index;
    last.with_logprobs = choice.with_logprobs;
    last.finish_reason = choice.finish_reason;
    add(last);
    return events;
  }

  std::string end(const ReplyState& state) override {
    std::string events;
    if (context_.request.include_usage) {
      events = sse_event(usage_chunk_json(context_.head, state.usage, state.fingerprint,
                                          timings_field(context_, state)));
    }
    return events + sse_event("[DONE]");
  }

  std::string whole(const std::vector<ReplyChoice>& choices, const ReplyState& state) override {
    Json more = timings_field(context_, state);
    if (context_.request.verbose) {
      more["__verbose"] = native_reply_json(context_, choices[0], state);
    }
    return reply_json(context_.head, choices, state.usage, state.fingerprint, more);
  }

 private:
  // The role, before all else of a chat's choice.
  std::string beginning(int64_t choice) {
    if (context_.head.api != Api::kChat || !begun_.insert(choice).second) return {};
    return sse_event(role_chunk_json(context_.head, choice, chunk_options({})));
  }

  ChunkOptions chunk_options(std::string fingerprint) const {
    return {.fingerprint = std::move(fingerprint), .include_usage = context_.request.include_usage};
  }

  ReplyContext context_;
  std::set<int64_t> begun_;  // choices whose role is sent
};

}  // namespace

std::unique_ptr<ReplyWriter> make_openai_writer(ReplyContext context) {
  return std::make_unique<OpenAiWriter>(std::move(context));
}

}  // namespace yiti::serving
