#include <algorithm>
#include <cmath>

#include "models/text/chat_template/operators.h"
#include "models/text/utf8.h"

namespace yiti::jinja {
namespace {

constexpr int64_t kMaxWidth = 1000;

// One % and what follows it.
struct Directive {
  bool left = false, zero = false, plus = false;
  int64_t width = 0, precision = -1;
  char kind = 0;
};

class PercentFormatter {
 public:
  PercentFormatter(const std::string& format, const Value& values, Budget* budget)
      : format_(format), budget_(*budget) {
    const bool tuple = values.list() != nullptr && values.list()->tuple;
    if (tuple) {
      values_ = values.list()->items;
    } else {
      values_.push_back(values);
    }
    // As in Python, what could be a mapping need not be used.
    optional_ = values.dict() != nullptr || (values.list() != nullptr && !tuple);
  }

  std::string run() {
    while (at_ < format_.size()) {
      const char c = format_[at_++];
      if (c != '%') {
        out_.push_back(c);
      } else {
        put(directive());
      }
    }
    check(next_ == values_.size() || optional_, kWhere, "% got {} values and used {}",
          values_.size(), next_);
    return std::move(out_);
  }

 private:
  char peek() const { return at_ < format_.size() ? format_[at_] : '\0'; }

  int64_t number() {
    int64_t value = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      value = value * 10 + (peek() - '0');
      check(value <= kMaxWidth, kWhere, "% with a width beyond {}", kMaxWidth);
    }
    return value;
  }

  Directive directive() {
    Directive d;
    for (;; ++at_) {
      if (peek() == '-') {
        d.left = true;
      } else if (peek() == '0') {
        d.zero = true;
      } else if (peek() == '+') {
        d.plus = true;
      } else {
        break;
      }
    }
    d.width = number();
    if (peek() == '.') {
      ++at_;
      d.precision = number();
    }
    d.kind = peek();
    check(d.kind != '\0', kWhere, "% at the end of a format");
    ++at_;
    return d;
  }

  void put(const Directive& d) {
    if (d.kind == '%') return out_.push_back('%');
    check(next_ < values_.size(), kWhere, "% lacks a value for \"%{}\"", d.kind);
    const Value& value = values_[next_++];
    std::string text = converted(d, value);
    const bool numeric = d.kind != 's' && d.kind != 'r';
    const auto size = utf8::length(text);
    budget_.create(d.width + size);
    const std::string fill(static_cast<size_t>(std::max<int64_t>(0, d.width - size)),
                           d.zero && numeric && !d.left ? '0' : ' ');
    if (d.left) {
      out_ += text + fill;
    } else if (d.zero && numeric && (text[0] == '-' || text[0] == '+')) {
      out_ += text[0] + fill + text.substr(1);
    } else {
      out_ += fill + text;
    }
  }

  std::string converted(const Directive& d, const Value& value) {
    if (d.kind == 's' || d.kind == 'r') {
      std::string text = d.kind == 's' ? text_of(value, &budget_) : repr_of(value, &budget_);
      if (d.precision < 0) return text;
      return *sliced(Value(text), {}, d.precision, {}, &budget_).string();
    }
    check(value.is_number(), kWhere, "%{} wants a number; got a {}", d.kind, value.type_name());
    const std::string_view sign = d.plus && value.number() >= 0 ? "+" : "";
    switch (d.kind) {
      case 'd':
      case 'i':
      case 'u':
        if (!value.is_integer()) return fmt::format("{}{:.0f}", sign, std::trunc(value.number()));
        return fmt::format("{}{}", sign, value.integer());
      case 'x':
      case 'X':
        check(value.is_integer(), kWhere, "%x wants an integer");
        return d.kind == 'x' ? fmt::format("{}{:x}", sign, value.integer())
                             : fmt::format("{}{:X}", sign, value.integer());
      case 'f':
        return fmt::format("{}{:.{}f}", sign, value.number(), d.precision < 0 ? 6 : d.precision);
      case 'e':
        return fmt::format("{}{:.{}e}", sign, value.number(), d.precision < 0 ? 6 : d.precision);
      default: fail(Code::kUnimplemented, kWhere, "\"%{}\" is not supported", d.kind);
    }
  }

  const std::string& format_;
  Budget& budget_;
  std::vector<Value> values_;
  bool optional_ = false;
  size_t at_ = 0, next_ = 0;
  std::string out_;
};

}  // namespace

std::string percent_format(const std::string& format, const Value& values, Budget* budget) {
  budget->create(static_cast<int64_t>(format.size()));
  return PercentFormatter(format, values, budget).run();
}

}  // namespace yiti::jinja
