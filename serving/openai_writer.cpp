// Chat and completion replies, whole or as chunks.
#include <set>

#include "serving/reply_writer.h"
#include "serving/sse.h"

namespace yiti::serving {
namespace {

class OpenAiWriter final : public ReplyWriter {
 public:
  explicit OpenAiWriter(ReplyContext context) : context_(std::move(context)) {}

  std::string delta(const ReplyChoice& choice, const std::string& fingerprint) override {
    const ChunkOptions options = {.fingerprint = fingerprint,
                                  .include_usage = context_.request.include_usage};
    std::string events;
    const auto add = [&](const std::string& json) { events += sse_event(json); };
    if (context_.head.api == Api::kChat && begun_.insert(choice.index).second) {
      add(role_chunk_json(context_.head, choice.index, options));
    }
    const bool says = !choice.text.empty() || !choice.tool_calls.empty();
    if (choice.finish_reason.empty()) {
      if (says) add(chunk_json(context_.head, choice, options));
      return events;
    }
    // The text that was held back goes before the end, as clients expect an empty last delta.
    if (says || !choice.details.empty()) {
      ReplyChoice rest = choice;
      rest.finish_reason.clear();
      add(chunk_json(context_.head, rest, options));
    }
    ReplyChoice last;
    last.index = choice.index;
    last.with_logprobs = choice.with_logprobs;
    last.finish_reason = choice.finish_reason;
    add(chunk_json(context_.head, last, options));
    return events;
  }

  std::string end(const ReplyEnd& end) override {
    std::string events;
    if (context_.request.include_usage) {
      events = sse_event(usage_chunk_json(context_.head, end.usage, end.fingerprint, timings(end)));
    }
    return events + sse_event("[DONE]");
  }

  std::string whole(const std::vector<ReplyChoice>& choices, const ReplyEnd& end) override {
    return reply_json(context_.head, choices, end.usage, end.fingerprint);
  }

 private:
  const GenerationTimes* timings(const ReplyEnd& end) const {
    return context_.request.timings ? &end.times : nullptr;
  }

  ReplyContext context_;
  std::set<int64_t> begun_;  // choices whose role is sent
};

}  // namespace

std::unique_ptr<ReplyWriter> make_openai_writer(ReplyContext context) {
  return std::make_unique<OpenAiWriter>(std::move(context));
}

}  // namespace yiti::serving
