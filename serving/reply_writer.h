// Writes the answers of the APIs that generate.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "serving/api_error.h"
#include "serving/openai_request.h"
#include "serving/openai_response.h"

namespace yiti::serving {

/// Whom a reply answers, and with what.
struct ReplyContext {
  ApiRequest request;  ///< without its prompts and messages
  ReplyHead head;
  Sampling sampling;  ///< that the first choice runs with
  int64_t max_tokens = 0;
  std::string prompt_text = {};  ///< llama.cpp's API repeats it
};

/// How a reply, or a choice that streams, stands.
struct ReplyState {
  Usage usage = {};
  std::string fingerprint = {};  ///< empty: not known yet
  GenerationTimes times = {};    ///< of a reply: those of the choice that took longest
};

/// One request's answer: either whole(), or stream events: progress()… delta()… and end(). What
/// streams is complete server-sent events, maybe none. One thread at a time.
class ReplyWriter {
 public:
  virtual ~ReplyWriter() = default;
  virtual std::string progress(int64_t choice, const PromptProgress& progress) = 0;
  /// `state` has usage and times where the request asks for timings or usage in each chunk.
  virtual std::string delta(const ReplyChoice& choice, const ReplyState& state) = 0;
  virtual std::string end(const ReplyState& state) = 0;
  virtual std::string failure(const ApiError& error);
  virtual std::string whole(const std::vector<ReplyChoice>& choices, const ReplyState& state) = 0;
};

/// The field `timings`, where the request asks for it; else nothing: an object to update others by.
nlohmann::ordered_json timings_field(const ReplyContext& context, const ReplyState& state);

/// What llama.cpp's /completion replies for a choice; other replies have it as `__verbose`.
nlohmann::ordered_json native_reply_json(const ReplyContext& context, const ReplyChoice& choice,
                                         const ReplyState& state);

/// The writer for the request's API.
std::unique_ptr<ReplyWriter> make_reply_writer(ReplyContext context);

std::unique_ptr<ReplyWriter> make_openai_writer(ReplyContext context);  ///< chat and completion
std::unique_ptr<ReplyWriter> make_responses_writer(ReplyContext context);
std::unique_ptr<ReplyWriter> make_native_writer(ReplyContext context);

}  // namespace yiti::serving
