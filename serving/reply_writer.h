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

/// How a reply ended.
struct ReplyEnd {
  Usage usage;
  std::string fingerprint;
  GenerationTimes times = {};  ///< of the choice that took longest
};

/// One request's answer: either whole(), or stream events: delta()… and end(). What streams is
/// complete server-sent events, maybe none. One thread at a time.
class ReplyWriter {
 public:
  virtual ~ReplyWriter() = default;
  virtual std::string delta(const ReplyChoice& choice, const std::string& fingerprint) = 0;
  virtual std::string end(const ReplyEnd& end) = 0;
  virtual std::string failure(const ApiError& error);
  virtual std::string whole(const std::vector<ReplyChoice>& choices, const ReplyEnd& end) = 0;
};

/// The writer for the request's API.
std::unique_ptr<ReplyWriter> make_reply_writer(ReplyContext context);

std::unique_ptr<ReplyWriter> make_openai_writer(ReplyContext context);  ///< chat and completion
std::unique_ptr<ReplyWriter> make_responses_writer(ReplyContext context);
std::unique_ptr<ReplyWriter> make_native_writer(ReplyContext context);

}  // namespace yiti::serving
