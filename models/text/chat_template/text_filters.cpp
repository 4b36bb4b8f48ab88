// Filters on text and single values.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "models/text/chat_template/filters.h"
#include "models/text/chat_template/operators.h"
#include "models/text/chat_template/text_tools.h"

namespace yiti::jinja {
namespace {

std::string text_of_input(Interpreter& in, const Value& input) {
  return text_of(input, in.budget());
}

template <std::string (*F)(std::string_view)>
Value mapped_text(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("filter", args, {});
  return Value(F(text_of_input(in, input)));
}

Value trim(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("trim", args, {"chars"});
  const std::string text = text_of_input(in, input);
  if (reader.get(0) == nullptr || reader.get(0)->is_none()) {
    return Value(stripped(text, Side::kBoth));
  }
  return Value(stripped_of(text, reader.text(0, ""), Side::kBoth));
}

// Words begin after white space and after - ( { [ <.
std::string title_case(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t gap = 0;
    while (gap < text.size()) {
      const size_t space = space_at(text, gap);
      if (space == 0 && std::string_view("-({[<").find(text[gap]) == std::string_view::npos) break;
      gap += std::max<size_t>(1, space);
    }
    size_t end = gap;
    while (end < text.size() && space_at(text, end) == 0 &&
           std::string_view("-({[<").find(text[end]) == std::string_view::npos) {
      ++end;
    }
    out.append(text.substr(0, gap)).append(capitalized(text.substr(gap, end - gap)));
    text.remove_prefix(end);
  }
  return out;
}

Value replace(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("replace", args, {"old", "new", "count"});
  const std::string text = text_of_input(in, input);
  const std::string old = text_of(reader.required(0), in.budget());
  const std::string fresh = text_of(reader.required(1), in.budget());
  in.budget()->create(static_cast<int64_t>(text.size()));
  in.budget()->create(count_of(text, old) * static_cast<int64_t>(fresh.size()));
  return Value(replaced(text, old, fresh, reader.integer(2, -1)));
}

Value indent(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("indent", args, {"width", "first", "blank"});
  const std::string& text = text_input("indent", input);
  std::string prefix;
  if (reader.get(0) != nullptr && reader.get(0)->string() != nullptr) {
    prefix = *reader.get(0)->string();
  } else {
    const int64_t width = std::max<int64_t>(0, reader.integer(0, 4));
    in.budget()->create(width);
    prefix.assign(static_cast<size_t>(width), ' ');
  }
  const bool first = reader.flag(1, false), blank = reader.flag(2, false);
  const std::vector<std::string> lines = split_lines(text + "\n");
  in.budget()->create(static_cast<int64_t>(text.size() + lines.size() * (prefix.size() + 1)));
  std::string out = first ? prefix : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i > 0 && (blank || !lines[i].empty())) out += prefix;
    out += lines[i];
  }
  return Value(std::move(out));
}

Value to_json_filter(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = reader.flag(0, false);
  style.indent = std::clamp<int64_t>(reader.integer(1, -1), -1, 64);
  if (style.indent >= 0) style.item_separator = std::string(",");
  if (const Value* pair = reader.get(2); pair != nullptr && !pair->is_none()) {
    const List* list = pair->list();
    check(list != nullptr && list->items.size() == 2, kWhere,
          "tojson's separators are no pair of texts");
    style.item_separator = text_input("tojson", list->items[0]);
    style.key_separator = text_input("tojson", list->items[1]);
  }
  style.sort_keys = reader.flag(3, false);
  return Value(to_json(input, style, in.budget()));
}

Value to_string(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("string", args, {});
  return input.string() != nullptr ? input : Value(text_of_input(in, input));
}

Value unchanged(Interpreter&, const Value& input, Arguments& args) {
  const ArgReader reader("safe", args, {});
  return input;
}

template <class T>
std::optional<T> parsed(std::string_view text, int base = 10) {
  text = stripped(text, Side::kBoth);
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  std::from_chars_result got{};
  if constexpr (std::is_integral_v<T>) {
    got = std::from_chars(text.data(), text.data() + text.size(), value, base);
  } else {
    got = std::from_chars(text.data(), text.data() + text.size(), value);
  }
  const bool whole = got.ec == std::errc() && got.ptr == text.data() + text.size();
  return whole && !text.empty() ? std::optional(value) : std::nullopt;
}

// Towards zero; nothing where that does not fit.
std::optional<int64_t> truncated(double value) {
  const bool fits = std::abs(value) < 9.2e18;  // false for NaN
  return fits ? std::optional(static_cast<int64_t>(value)) : std::nullopt;
}

Value to_int(Interpreter&, const Value& input, Arguments& args) {
  const ArgReader reader("int", args, {"default", "base"});
  std::optional<int64_t> value;
  if (input.is_integer()) value = input.integer();
  if (const double* number = input.get<double>()) value = truncated(*number);
  if (const std::string* text = input.string()) {
    const int64_t base = reader.integer(1, 10);
    check(base >= 2 && base <= 36, kWhere, "int with base {}; wants 2 to 36", base);
    value = parsed<int64_t>(*text, static_cast<int>(base));
    const std::optional<double> number = value ? std::nullopt : parsed<double>(*text);
    if (number) value = truncated(*number);
  }
  if (value) return Value(*value);
  return reader.get(0) != nullptr ? *reader.get(0) : Value(int64_t{0});
}

Value to_float(Interpreter&, const Value& input, Arguments& args) {
  const ArgReader reader("float", args, {"default"});
  if (input.is_number()) return Value(input.number());
  const std::optional<double> value =
      input.string() != nullptr ? parsed<double>(*input.string()) : std::nullopt;
  if (value) return Value(*value);
  return reader.get(0) != nullptr ? *reader.get(0) : Value(0.0);
}

Value absolute(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("abs", args, {});
  check(input.is_number(), kWhere, "abs wants a number; got a {}", input.type_name());
  if (!input.is_integer()) return Value(std::abs(input.number()));
  if (input.integer() >= 0) return Value(input.integer());
  return computed(Operator::kSubtract, Value(int64_t{0}), input, in.budget());
}

Value round_filter(Interpreter&, const Value& input, Arguments& args) {
  const ArgReader reader("round", args, {"precision", "method"});
  check(input.is_number(), kWhere, "round wants a number; got a {}", input.type_name());
  const int64_t digits = std::clamp<int64_t>(reader.integer(0, 0), -300, 300);
  const std::string method = reader.text(1, "common");
  const double scale = std::pow(10.0, static_cast<double>(digits));
  const double scaled = input.number() * scale;
  if (method == "ceil") return Value(std::ceil(scaled) / scale);
  if (method == "floor") return Value(std::floor(scaled) / scale);
  check(method == "common", kWhere, "round has no method \"{}\"", method);
  if (input.is_integer() && digits >= 0) return Value(input.integer());
  return Value(std::nearbyint(scaled) / scale);
}

Value default_filter(Interpreter&, const Value& input, Arguments& args) {
  const ArgReader reader("default", args, {"default_value", "boolean"});
  const bool missing = input.is_undefined() || (reader.flag(1, false) && !input.truth());
  if (!missing) return input;
  return reader.get(0) != nullptr ? *reader.get(0) : Value(std::string());
}

Value format_filter(Interpreter& in, const Value& input, Arguments& args) {
  check(args.named.empty(), kWhere, "format with names is not supported");
  return Value(percent_format(text_input("format", input),
                              Value::list(std::move(args.positional), true), in.budget()));
}

}  // namespace

std::vector<NamedFilter> text_filters() {
  return {{"abs", absolute},
          {"capitalize", mapped_text<capitalized>},
          {"d", default_filter},
          {"default", default_filter},
          {"float", to_float},
          {"format", format_filter},
          {"indent", indent},
          {"int", to_int},
          {"lower", mapped_text<lower>},
          {"replace", replace},
          {"round", round_filter},
          {"safe", unchanged},
          {"string", to_string},
          {"title", mapped_text<title_case>},
          {"tojson", to_json_filter},
          {"trim", trim},
          {"upper", mapped_text<upper>}};
}

}  // namespace yiti::jinja
