// Unicode normalisation form C (UAX #15).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace yiti {

struct NormalizedText {
  std::string text;
  /// For each byte of `text`, and its end, where in the original it comes from; never decreasing.
  std::vector<int64_t> origin;
};

/// Whether NFC leaves `text` (valid UTF-8) as it is; false where only the work can tell.
bool is_surely_nfc(std::string_view text);

/// `text` (valid UTF-8) in normalisation form C.
NormalizedText to_nfc(std::string_view text);

}  // namespace yiti
