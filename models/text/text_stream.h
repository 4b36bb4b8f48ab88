// Tokens to text as they come: whole characters only, and nothing of a stop string.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/tokenizer.h"

namespace yiti {

/// One generation's text. Holds back an unfinished character and what may be the beginning of a
/// stop string. One thread at a time.
class TextStream {
 public:
  /// Empty stop strings are ignored. `skip_special`: control tokens give no text.
  explicit TextStream(Tokenizer tokenizer, std::vector<std::string> stop = {},
                      bool skip_special = true);

  /// The text that became certain with this token: valid UTF-8, maybe empty. After a stop string
  /// was hit it is always empty.
  std::string push(int32_t token);
  /// What is still held back; call once, at the end. Bytes that are no character become U+FFFD.
  std::string finish();

  /// Whether a stop string was hit, and which. Its text and what follows is not given out.
  bool stopped() const { return stopped_; }
  const std::string& stop_string() const { return stop_string_; }

 private:
  std::string take(bool last);
  void move_characters(bool last);  ///< from bytes_ to text_

  Tokenizer tokenizer_;
  std::vector<std::string> stop_;
  bool skip_special_;
  bool stopped_ = false;
  std::string stop_string_;
  std::string bytes_;  ///< tail of the output that is not yet a whole character
  std::string text_;   ///< valid UTF-8 not yet given out
};

}  // namespace yiti
