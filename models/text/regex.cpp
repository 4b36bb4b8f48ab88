#include "models/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/error.h"

namespace yiti {
namespace {

constexpr size_t kMaxPatternBytes = 64 * 1024;
constexpr uint32_t kMatchLimit = 20'000'000;
constexpr uint32_t kDepthLimit = 20'000;
constexpr uint32_t kHeapLimitKib = 64 * 1024;

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};

using CodePtr = std::unique_ptr<pcre2_code, Freer<&pcre2_code_free>>;
using MatchContextPtr = std::unique_ptr<pcre2_match_context, Freer<&pcre2_match_context_free>>;
using MatchDataPtr = std::unique_ptr<pcre2_match_data, Freer<&pcre2_match_data_free>>;

std::string message_of(int error) {
  std::string text(256, '\0');
  const int size =
      pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(text.data()), text.size());
  text.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return text;
}

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

struct Regex::Compiled {
  CodePtr code;
  MatchContextPtr context;  // limits only, never written again, so threads may share it

  MatchDataPtr match_data() const {
    MatchDataPtr data(pcre2_match_data_create_from_pattern(code.get(), nullptr));
    if (!data) throw std::bad_alloc();
    return data;
  }

  // Whether there is a match at or after `at`; its bounds are then in `data`.
  bool match(std::string_view text, size_t at, uint32_t options, pcre2_match_data* data) const {
    const int got = pcre2_match(code.get(), units(text), text.size(), at,
                                options | PCRE2_NO_UTF_CHECK, data, context.get());
    if (got == PCRE2_ERROR_NOMATCH) return false;
    if (got < 0) {
      fail(Code::kResourceExhausted, "regex", "matching failed: {}", message_of(got));
    }
    return true;
  }
};

Regex::Regex(std::string_view pattern) {
  check(pattern.size() <= kMaxPatternBytes, "regex", "pattern of {} bytes; at most {}",
        pattern.size(), kMaxPatternBytes);
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto compiled = std::make_shared<Compiled>();
  // An empty view may have a null pointer, which PCRE2 takes as an error.
  const std::string owned(pattern);
  compiled->code.reset(pcre2_compile(units(owned), owned.size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error,
                                     &offset, nullptr));
  check(compiled->code != nullptr, "regex", "pattern does not compile at byte {}: {}", offset,
        message_of(error));
  // Where there is no JIT, or no memory for it, the interpreter gives the same matches.
  pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE);
  compiled->context.reset(pcre2_match_context_create(nullptr));
  if (!compiled->context) throw std::bad_alloc();
  pcre2_set_match_limit(compiled->context.get(), kMatchLimit);
  pcre2_set_depth_limit(compiled->context.get(), kDepthLimit);
  pcre2_set_heap_limit(compiled->context.get(), kHeapLimitKib);
  compiled_ = std::move(compiled);
}

std::vector<RegexMatch> Regex::find_all(std::string_view text) const {
  std::vector<RegexMatch> out;
  if (text.empty()) return out;
  const MatchDataPtr data = compiled_->match_data();
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data.get());
  for (size_t at = 0; at < text.size();) {
    if (!compiled_->match(text, at, 0, data.get())) break;
    // \K in a lookahead can put the beginning behind the end or before where we are.
    if (bounds[0] >= at && bounds[1] > bounds[0]) out.push_back({bounds[0], bounds[1]});
    if (bounds[1] > at && bounds[1] > bounds[0]) {
      at = bounds[1];
      continue;
    }
    at = std::max(at, bounds[1]) + 1;
    while (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) ++at;
  }
  return out;
}

bool Regex::matches_prefix(std::string_view text) const {
  if (text.empty()) text = "";
  return compiled_->match(text, 0, PCRE2_ANCHORED, compiled_->match_data().get());
}

std::string regex_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    const bool word =
        byte >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    if (word || c == '_') {
      out.push_back(c);
    } else {
      out += fmt::format("\\x{{{:x}}}", byte);
    }
  }
  return out;
}

}  // namespace yiti
