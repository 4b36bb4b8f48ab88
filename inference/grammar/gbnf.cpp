#include "inference/grammar/gbnf.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "models/text/utf8.h"

namespace yiti {
namespace {

constexpr size_t kMaxBytes = 256 << 10;
constexpr int kMaxDepth = 64;
constexpr int64_t kMaxRepeats = 10'000;

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class GbnfParser {
 public:
  explicit GbnfParser(std::string_view text) : text_(text) {}

  Grammar parse() {
    skip(true);
    while (at_ < text_.size()) {
      const std::string_view name = read_name();
      skip(false);
      want(take("::="), "'::=' behind a rule's name");
      skip(true);
      builder_.define(name, alternatives(0));
      want(at_ == text_.size() || text_[at_] == '\n' || text_[at_] == '\r', "the end of the line");
      skip(true);
    }
    return builder_.build("root");
  }

 private:
  using Id = GrammarBuilder::Id;

  void want(bool ok, std::string_view wanted) const {
    if (ok) return;
    const auto line = std::count(text_.begin(), text_.begin() + static_cast<ptrdiff_t>(at_), '\n');
    const std::string got = at_ < text_.size() ? fmt::format("'{}'", text_[at_]) : "the end";
    fail(Code::kInvalidArgument, "grammar", "line {}: got {}; wants {}", line + 1, got, wanted);
  }

  bool take(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  // White space and comments; line ends only where the rule surely goes on, or is over.
  void skip(bool lines) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string_view read_name() {
    const size_t begin = at_;
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    want(at_ > begin, "a rule's name");
    return text_.substr(begin, at_ - begin);
  }

  Id alternatives(int depth) {
    want(depth < kMaxDepth, fmt::format("at most {} groups in each other", kMaxDepth));
    std::vector<Id> ways = {sequence(depth)};
    while (true) {
      const size_t before = at_;
      skip(true);  // the next line may go on with a bar
      if (!take("|")) {
        if (depth == 0) at_ = before;
        return ways.size() == 1 ? ways[0] : builder_.choice(std::move(ways));
      }
      skip(true);
      ways.push_back(sequence(depth));
    }
  }

  Id sequence(int depth) {
    std::vector<Id> parts;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '|' || c == ')' || c == '\n' || c == '\r') break;
      parts.push_back(repeated(part(depth)));
      skip(depth > 0);
    }
    return builder_.sequence(std::move(parts));
  }

  Id part(int depth) {
    if (take("\"")) return literal();
    if (take("[")) return set();
    if (take(".")) return builder_.characters(complement({}));
    if (take("(")) {
      skip(true);
      const Id inner = alternatives(depth + 1);
      skip(true);
      want(take(")"), "')'");
      return inner;
    }
    want(is_name(text_[at_]), "a literal, a character set, a group or a rule's name");
    return builder_.rule(read_name());
  }

  Id repeated(Id inner) {
    while (true) {
      skip(false);
      if (take("*")) {
        inner = builder_.repeat(inner, 0, GrammarBuilder::kAnyNumber);
      } else if (take("+")) {
        inner = builder_.repeat(inner, 1, GrammarBuilder::kAnyNumber);
      } else if (take("?")) {
        inner = builder_.optional(inner);
      } else if (take("{")) {
        inner = counted(inner);
      } else {
        return inner;
      }
    }
  }

  Id counted(Id inner) {
    skip(false);
    const int64_t least = number();
    int64_t most = least;
    skip(false);
    if (take(",")) {
      skip(false);
      const bool open = at_ < text_.size() && text_[at_] == '}';
      most = open ? GrammarBuilder::kAnyNumber : number();
      skip(false);
    }
    want(take("}"), "'}'");
    return builder_.repeat(inner, least, most);
  }

  int64_t number() {
    int64_t value = 0;
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      value = std::min(value * 10 + (text_[at_++] - '0'), kMaxRepeats + 1);
    }
    want(at_ > begin && value <= kMaxRepeats, fmt::format("a number up to {}", kMaxRepeats));
    return value;
  }

  char32_t character() {
    want(at_ < text_.size(), "a character");
    if (take("\\")) return escape();
    const utf8::Char read = utf8::read(text_, at_);
    want(read.size > 0, "UTF-8");
    at_ += static_cast<size_t>(read.size);
    return read.code;
  }

  char32_t escape() {
    want(at_ < text_.size(), "an escaped character");
    const char c = text_[at_++];
    switch (c) {
      case 'n': return U'\n';
      case 'r': return U'\r';
      case 't': return U'\t';
      case 'x': return hex(2);
      case 'u': return hex(4);
      case 'U': return hex(8);
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^': return static_cast<char32_t>(c);
      default: --at_; want(false, R"(one of the escapes \n \r \t \x \u \U \\ \" \[ \] \- \^)");
    }
    return 0;
  }

  char32_t hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = at_ < text_.size() ? hex_value(text_[at_]) : -1;
      want(digit >= 0, "a hexadecimal digit");
      value = value * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    want(value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF), "a Unicode character");
    return value;
  }

  Id literal() {
    std::string bytes;
    while (!take("\"")) utf8::append(&bytes, character());
    return builder_.literal(bytes);
  }

  Id set() {
    const bool negated = take("^");
    std::vector<CodeRange> ranges;
    while (!take("]")) {
      const char32_t first = character();
      const bool is_range =
          text_.substr(at_).starts_with("-") && !text_.substr(at_).starts_with("-]");
      if (is_range) ++at_;
      const char32_t last = is_range ? character() : first;
      want(last >= first, "a range that goes up");
      ranges.push_back({first, last});
    }
    return builder_.characters(negated ? complement(std::move(ranges)) : std::move(ranges));
  }

  std::string_view text_;
  size_t at_ = 0;
  GrammarBuilder builder_;
};

}  // namespace

Grammar parse_gbnf(std::string_view text) {
  if (text.size() > kMaxBytes) {
    fail(Code::kResourceExhausted, "grammar", "it has {} bytes; wants at most {}", text.size(),
         kMaxBytes);
  }
  return GbnfParser(text).parse();
}

}  // namespace yiti
