#include "serving/reply_writer.h"

#include "serving/sse.h"

namespace yiti::serving {

std::string ReplyWriter::failure(const ApiError& error) { return sse_event(error_json(error)); }

std::unique_ptr<ReplyWriter> make_reply_writer(ReplyContext context) {
  switch (context.request.api) {
    case Api::kResponses: return make_responses_writer(std::move(context));
    case Api::kNative: return make_native_writer(std::move(context));
    case Api::kChat:
    case Api::kCompletion: break;
  }
  return make_openai_writer(std::move(context));
}

}  // namespace yiti::serving
