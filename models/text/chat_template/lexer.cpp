#include "models/text/chat_template/lexer.h"

#include <algorithm>
#include <charconv>

#include "models/text/chat_template/budget.h"
#include "models/text/chat_template/text_tools.h"
#include "models/text/utf8.h"

namespace yiti::jinja {
namespace {

// Line ends become \n, and one at the very end goes.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      out.push_back('\n');
    } else {
      out.push_back(source[i]);
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<uint8_t>(c) >= 0x80;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

constexpr std::string_view kTwoCharOperators[] = {"//", "**", "==", "!=", ">=", "<="};
constexpr std::string_view kOneCharOperators = "+-/*%~[](){}<>=.:|,;";

char closing_of(char open) { return open == '(' ? ')' : open == '[' ? ']' : '}'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)), text_(source_) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) text_until_tag();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void error(std::string_view what) const {
    fail(Code::kInvalidArgument, kWhere, "line {}: {}", line_, what);
  }

  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void advance(size_t count) {
    const auto begin = text_.begin() + static_cast<std::ptrdiff_t>(at_);
    const auto end = begin + static_cast<std::ptrdiff_t>(count);
    line_ += static_cast<int>(std::count(begin, end, '\n'));
    at_ += count;
  }

  bool looking_at(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  void skip_space() {
    while (const size_t size = at_ < text_.size() ? space_at(text_, at_) : 0) advance(size);
  }

  // Text up to the next {{, {% or {#, then that.
  void text_until_tag() {
    size_t open = text_.find('{', at_);
    while (open != std::string_view::npos && open + 1 < text_.size() &&
           std::string_view("{%#").find(text_[open + 1]) == std::string_view::npos) {
      open = text_.find('{', open + 1);
    }
    if (open == std::string_view::npos || open + 1 >= text_.size()) {
      add(TokenKind::kText, std::string(text_.substr(at_)));
      return advance(text_.size() - at_);
    }
    const char kind = text_[open + 1];
    const char sign = open + 2 < text_.size() ? text_[open + 2] : ' ';
    put_text(text_.substr(at_, open - at_), kind, sign);
    advance(open - at_ + 2);
    if (sign == '-' || sign == '+') advance(1);
    if (kind == '#') {
      comment();
    } else if (kind == '{') {
      add(TokenKind::kOutputBegin, "");
      inside("}}", TokenKind::kOutputEnd);
    } else if (!raw()) {
      add(TokenKind::kStatementBegin, "");
      inside("%}", TokenKind::kStatementEnd);
    }
  }

  void put_text(std::string_view text, char kind, char sign) {
    const bool line_starting = at_ == 0 || text_[at_ - 1] == '\n';
    if (sign == '-') {
      text = stripped(text, Side::kRight);
    } else if (sign != '+' && kind != '{') {
      const size_t line = text.rfind('\n') + 1;  // 0 where there is none
      if ((line > 0 || line_starting) && stripped(text.substr(line), Side::kRight).empty()) {
        text = text.substr(0, line);
      }
    }
    if (!text.empty()) add(TokenKind::kText, std::string(text));
  }

  // After the end of a tag: -%} takes all white space, %} one line end (trim_blocks).
  void after_tag(char sign, bool trims_line) {
    if (sign == '-') {
      skip_space();
    } else if (sign != '+' && trims_line && looking_at("\n")) {
      advance(1);
    }
  }

  void comment() {
    const size_t close = text_.find("#}", at_);
    if (close == std::string_view::npos) error("a comment without its end");
    const char sign = close > at_ ? text_[close - 1] : ' ';
    advance(close + 2 - at_);
    after_tag(sign, true);
  }

  // At a tag of one word, gives the place behind it, else npos.
  size_t end_of_word_tag(size_t at, std::string_view word, char* sign) const {
    while (at < text_.size() && space_at(text_, at) > 0) at += space_at(text_, at);
    if (!text_.substr(at).starts_with(word)) return std::string_view::npos;
    at += word.size();
    while (at < text_.size() && space_at(text_, at) > 0) at += space_at(text_, at);
    *sign = ' ';
    if (at < text_.size() && (text_[at] == '-' || text_[at] == '+')) *sign = text_[at++];
    return text_.substr(at).starts_with("%}") ? at + 2 : std::string_view::npos;
  }

  // {% raw %}…{% endraw %}: true where that stands here.
  bool raw() {
    char sign = ' ';
    const size_t begin = end_of_word_tag(at_, "raw", &sign);
    if (begin == std::string_view::npos) return false;
    advance(begin - at_);
    after_tag(sign, false);
    for (size_t open = text_.find("{%", at_); open != std::string_view::npos;
         open = text_.find("{%", open + 2)) {
      size_t word = open + 2;
      const char open_sign = word < text_.size() ? text_[word] : ' ';
      if (open_sign == '-' || open_sign == '+') ++word;
      const size_t end = end_of_word_tag(word, "endraw", &sign);
      if (end == std::string_view::npos) continue;
      put_text(text_.substr(at_, open - at_), '%', open_sign);
      advance(end - at_);
      after_tag(sign, true);
      return true;
    }
    error("raw without endraw");
  }

  void inside(std::string_view close, TokenKind end) {
    std::string open_brackets;
    for (;;) {
      skip_space();
      if (at_ >= text_.size()) error("a tag without its end");
      const char c = text_[at_];
      const bool signed_close =
          (c == '-' || (c == '+' && close == "%}")) && text_.substr(at_ + 1).starts_with(close);
      if (open_brackets.empty() && (signed_close || looking_at(close))) {
        add(end, "");
        advance(close.size() + (signed_close ? 1 : 0));
        return after_tag(signed_close ? c : ' ', close == "%}");
      }
      if (c == '\'' || c == '"') {
        string_literal(c);
      } else if (is_digit(c)) {
        number();
      } else if (is_name_start(c)) {
        size_t size = 1;
        while (at_ + size < text_.size() && is_name_part(text_[at_ + size])) ++size;
        add(TokenKind::kName, std::string(text_.substr(at_, size)));
        advance(size);
      } else {
        operator_token(&open_brackets);
      }
    }
  }

  void operator_token(std::string* open_brackets) {
    for (const std::string_view op : kTwoCharOperators) {
      if (looking_at(op)) {
        add(TokenKind::kOperator, std::string(op));
        return advance(2);
      }
    }
    const char c = text_[at_];
    if (kOneCharOperators.find(c) == std::string_view::npos) {
      error(fmt::format("unexpected \"{}\"", c));
    }
    if (c == '(' || c == '[' || c == '{') open_brackets->push_back(closing_of(c));
    if (c == ')' || c == ']' || c == '}') {
      if (open_brackets->empty() || open_brackets->back() != c) {
        error(fmt::format("\"{}\" closes nothing", c));
      }
      open_brackets->pop_back();
    }
    add(TokenKind::kOperator, std::string(1, c));
    advance(1);
  }

  void number() {
    size_t end = at_;
    bool is_float = false;
    const auto digits = [&] {
      while (end < text_.size() && (is_digit(text_[end]) || text_[end] == '_')) ++end;
    };
    digits();
    if (end + 1 < text_.size() && text_[end] == '.' && is_digit(text_[end + 1])) {
      is_float = true;
      ++end;
      digits();
    }
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      size_t exponent = end + 1;
      if (exponent < text_.size() && (text_[exponent] == '+' || text_[exponent] == '-')) ++exponent;
      if (exponent < text_.size() && is_digit(text_[exponent])) {
        is_float = true;
        end = exponent;
        digits();
      }
    }
    std::string text(text_.substr(at_, end - at_));
    std::erase(text, '_');
    add(is_float ? TokenKind::kFloat : TokenKind::kInteger, std::move(text));
    advance(end - at_);
  }

  void string_literal(char quote) {
    std::string out;
    size_t at = at_ + 1;
    for (; at < text_.size() && text_[at] != quote; ++at) {
      if (text_[at] == '\\' && at + 1 < text_.size()) {
        at = escape(at + 1, &out);
      } else {
        out.push_back(text_[at]);
      }
    }
    if (at >= text_.size()) error("a string without its end");
    add(TokenKind::kString, std::move(out));
    advance(at + 1 - at_);
  }

  // Resolves the escape whose letter is at `at`; gives the place of its last character.
  size_t escape(size_t at, std::string* out) const {
    constexpr std::string_view kLetters = "ntrbfav\\'\"", kMeanings = "\n\t\r\b\f\a\v\\'\"";
    const char c = text_[at];
    if (const size_t i = kLetters.find(c); i != std::string_view::npos) {
      out->push_back(kMeanings[i]);
      return at;
    }
    if (c == '\n') return at;
    if (c >= '0' && c <= '7') return code_escape(at, 8, 1, 3, out);
    if (c == 'x') return code_escape(at + 1, 16, 2, 2, out);
    if (c == 'u') return code_escape(at + 1, 16, 4, 4, out);
    if (c == 'U') return code_escape(at + 1, 16, 8, 8, out);
    *out += {'\\', c};
    return at;
  }

  size_t code_escape(size_t at, int base, size_t least, size_t most, std::string* out) const {
    uint32_t code = 0;
    const std::string_view digits = text_.substr(std::min(at, text_.size()), most);
    const auto [end, status] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, base);
    const auto count = static_cast<size_t>(end - digits.data());
    const bool is_character = code < 0x110000 && (code < 0xD800 || code > 0xDFFF);
    if (status != std::errc() || count < least || !is_character) error("a bad escape in a string");
    utf8::append(out, code);
    return at + count - 1;
  }

  std::string source_;
  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  check(static_cast<int64_t>(source.size()) <= kMaxSourceBytes, kWhere,
        "source of {} bytes; at most {}", source.size(), kMaxSourceBytes);
  return Lexer(source).run();
}

}  // namespace yiti::jinja
