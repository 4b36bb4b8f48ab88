#include "models/text/text_stream.h"

#include <algorithm>

#include "models/text/utf8.h"

namespace yiti {
namespace {

// How many bytes at the end of `text` are the beginning of `stop`, but not all of it.
size_t partial_match(std::string_view text, std::string_view stop) {
  for (size_t size = std::min(text.size(), stop.size() - 1); size > 0; --size) {
    if (text.ends_with(stop.substr(0, size))) return size;
  }
  return 0;
}

}  // namespace

TextStream::TextStream(Tokenizer tokenizer, std::vector<std::string> stop, bool skip_special)
    : tokenizer_(std::move(tokenizer)), stop_(std::move(stop)), skip_special_(skip_special) {
  std::erase_if(stop_, [](const std::string& text) { return text.empty(); });
}

std::string TextStream::push(int32_t token) {
  const std::string_view piece = tokenizer_.token_piece(token);
  if (stopped_ || (skip_special_ && tokenizer_.is_special(token))) return "";
  bytes_ += piece;
  return take(false);
}

std::string TextStream::finish() { return stopped_ ? "" : take(true); }

std::string TextStream::take(bool last) {
  move_characters(last);
  // The stop string that begins first; of those the longest that is there.
  size_t hit = std::string::npos;
  for (const std::string& stop : stop_) {
    const size_t at = text_.find(stop);
    if (at == std::string::npos || at > hit) continue;
    if (at == hit && stop.size() <= stop_string_.size()) continue;
    hit = at;
    stop_string_ = stop;
  }
  if (hit != std::string::npos) {
    stopped_ = true;
    std::string out = text_.substr(0, hit);
    text_.clear();
    bytes_.clear();
    return out;
  }
  size_t held = 0;
  if (!last) {
    for (const std::string& stop : stop_) held = std::max(held, partial_match(text_, stop));
  }
  while (held > 0 && (static_cast<uint8_t>(text_[text_.size() - held]) & 0xC0) == 0x80) ++held;
  std::string out = text_.substr(0, text_.size() - held);
  text_.erase(0, out.size());
  return out;
}

void TextStream::move_characters(bool last) {
  while (!bytes_.empty()) {
    const size_t good = utf8::valid_prefix(bytes_);
    text_.append(bytes_, 0, good);
    bytes_.erase(0, good);
    if (bytes_.empty() || (!last && utf8::read(bytes_, 0).incomplete)) break;
    text_ += "\xEF\xBF\xBD";
    bytes_.erase(0, 1);
  }
}

}  // namespace yiti
