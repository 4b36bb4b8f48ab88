// One choice of a reply: from tokens to text, log-probabilities and the reason for its end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/generator.h"
#include "models/text/text_stream.h"
#include "serving/openai_response.h"

namespace yiti::serving {

/// One thread at a time.
class ChoiceText {
 public:
  ChoiceText(int64_t index, const Tokenizer& tokenizer, std::vector<std::string> stop,
             std::vector<int32_t> stop_tokens, bool with_logprobs);

  /// What became certain with this token; maybe nothing.
  ReplyChoice push(const GeneratedToken& token);
  /// The rest, with the finish reason.
  ReplyChoice finish(Finish finish);

  bool hit_stop_string() const { return stream_.stopped(); }
  int64_t index() const { return index_; }
  /// Tokens of the text, the ones that made up a stop string included, the stop token not.
  int64_t tokens() const { return tokens_; }

 private:
  ReplyChoice release(std::string text);
  TokenDetail detail(const GeneratedToken& token) const;

  const int64_t index_;
  Tokenizer tokenizer_;
  TextStream stream_;
  std::vector<int32_t> stop_tokens_;  // ascending
  const bool with_logprobs_;
  int64_t tokens_ = 0;
  int64_t characters_ = 0;         // of all tokens' pieces so far
  std::vector<TokenDetail> held_;  // whose text is not certain yet
  std::vector<int32_t> held_tokens_;
};

}  // namespace yiti::serving
