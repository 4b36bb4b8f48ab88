#include "serving/choice_text.h"

#include <algorithm>
#include <utility>

namespace yiti::serving {
namespace {

int64_t count_characters(std::string_view bytes) {
  return std::count_if(bytes.begin(), bytes.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;  // not a continuation byte
  });
}

}  // namespace

ChoiceText::ChoiceText(int64_t index, const Tokenizer& tokenizer, std::vector<std::string> stop,
                       std::vector<int32_t> stop_tokens, bool with_logprobs)
    : index_(index),
      tokenizer_(tokenizer),
      stream_(tokenizer, std::move(stop)),
      stop_tokens_(std::move(stop_tokens)),
      with_logprobs_(with_logprobs) {}

ReplyChoice ChoiceText::push(const GeneratedToken& token) {
  if (std::binary_search(stop_tokens_.begin(), stop_tokens_.end(), token.token)) {
    return release({});
  }
  ++tokens_;
  held_tokens_.push_back(token.token);
  if (with_logprobs_) held_.push_back(detail(token));
  if (!tokenizer_.is_special(token.token)) {
    characters_ += count_characters(tokenizer_.token_piece(token.token));
  }
  return release(stream_.push(token.token));
}

ReplyChoice ChoiceText::finish(Finish finish) {
  std::string rest = stream_.finish();
  const bool stopped = stream_.stopped();
  if (stopped) held_.clear();
  ReplyChoice last = release(std::move(rest));
  last.details.insert(last.details.end(), held_.begin(), held_.end());
  held_.clear();
  last.tokens.insert(last.tokens.end(), held_tokens_.begin(), held_tokens_.end());
  last.stop_string = stopped ? stream_.stop_string() : "";
  last.finish_reason = finish == Finish::kLength && !stopped ? "length" : "stop";
  return last;
}

ReplyChoice ChoiceText::release(std::string text) {
  ReplyChoice delta;
  delta.index = index_;
  delta.with_logprobs = with_logprobs_;
  if (!text.empty()) {
    delta.details = std::exchange(held_, {});
    delta.tokens = std::exchange(held_tokens_, {});
  }
  delta.text = std::move(text);
  return delta;
}

TokenDetail ChoiceText::detail(const GeneratedToken& token) const {
  TokenDetail result;
  result.token = token.token;
  result.piece = tokenizer_.token_piece(token.token);
  result.logprob = token.logprob;
  result.text_offset = characters_;
  for (const TokenLogprob& other : token.top) {
    if (other.token >= tokenizer_.vocab_size()) continue;  // a row that only pads the head
    result.top.push_back(
        {other.token, std::string(tokenizer_.token_piece(other.token)), other.logprob});
  }
  return result;
}

}  // namespace yiti::serving
