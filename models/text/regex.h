// Regular expressions over UTF-8 with Unicode properties, by PCRE2.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace yiti {

struct RegexMatch {
  size_t begin, end;
};

/// A compiled pattern. Immutable and thread-safe.
class Regex {
 public:
  /// Fails with kInvalidArgument for a pattern that does not compile or is longer than 64 KiB.
  explicit Regex(std::string_view pattern);

  /// All matches in order, which do not overlap; empty ones are left out. `text` must be valid
  /// UTF-8. Throws kResourceExhausted where the pattern backtracks without end.
  std::vector<RegexMatch> find_all(std::string_view text) const;
  /// Whether a match begins at the beginning of `text` (valid UTF-8).
  bool matches_prefix(std::string_view text) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

/// A pattern that matches exactly this text.
std::string regex_escape(std::string_view text);

}  // namespace yiti
