#include "serving/reply_writer.h"

#include <nlohmann/json.hpp>

#include "serving/sse.h"

namespace yiti::serving {

std::string ReplyWriter::failure(const ApiError& error) { return sse_event(error_json(error)); }

nlohmann::ordered_json timings_field(const ReplyContext& context, const ReplyState& state) {
  nlohmann::ordered_json field = nlohmann::ordered_json::object();
  if (context.request.timings) field["timings"] = timings_json(state.usage, state.times);
  return field;
}

std::unique_ptr<ReplyWriter> make_reply_writer(ReplyContext context) {
  switch (context.request.api) {
    case Api::kResponses:
    case Api::kNativeResponses: return make_responses_writer(std::move(context));
    case Api::kNative: return make_native_writer(std::move(context));
    case Api::kChat:
    case Api::kCompletion: break;
  }
  return make_openai_writer(std::move(context));
}

}  // namespace yiti::serving
