// Python's str methods.
#include <algorithm>

#include "models/text/chat_template/filters.h"
#include "models/text/chat_template/methods.h"
#include "models/text/chat_template/operators.h"
#include "models/text/chat_template/text_tools.h"
#include "models/text/utf8.h"

namespace yiti::jinja {
namespace {

using Method = Value (*)(Interpreter&, const std::string& self, Arguments&);

Value list_of(Interpreter& in, std::vector<std::string> parts, bool tuple = false) {
  std::vector<Value> out;
  in.budget()->create(static_cast<int64_t>(parts.size() * (sizeof(Value) + 48)));
  for (std::string& part : parts) out.emplace_back(std::move(part));
  return Value::list(std::move(out), tuple);
}

// Before cutting, which could make very many pieces.
void charge_split(Interpreter& in, const std::string& self) {
  in.budget()->create(static_cast<int64_t>(self.size()) * 40);
}

template <Side kSide>
Value strip(Interpreter&, const std::string& self, Arguments& args) {
  const ArgReader reader("strip", args, {"chars"});
  if (reader.get(0) == nullptr || reader.get(0)->is_none()) return Value(stripped(self, kSide));
  return Value(stripped_of(self, reader.text(0, ""), kSide));
}

template <std::string (*F)(std::string_view)>
Value mapped(Interpreter& in, const std::string& self, Arguments& args) {
  const ArgReader reader("method", args, {});
  in.budget()->create(static_cast<int64_t>(self.size()));
  return Value(F(self));
}

// As str.title: every run of letters begins upper.
std::string title(std::string_view text) {
  std::string out;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const auto size = static_cast<size_t>(std::max(1, utf8::read(text, at).size));
    const std::string_view c = text.substr(at, size);
    out += inside ? lower(c) : upper(c);
    inside = upper(c) != lower(c);
    at += size;
  }
  return out;
}

template <bool kFromRight>
Value split(Interpreter& in, const std::string& self, Arguments& args) {
  const ArgReader reader("split", args, {"sep", "maxsplit"});
  const int64_t limit = reader.integer(1, -1);
  charge_split(in, self);
  if (reader.get(0) == nullptr || reader.get(0)->is_none()) {
    if (kFromRight && limit >= 0) {
      fail(Code::kUnimplemented, kWhere, "rsplit with a limit and no separator");
    }
    return list_of(in, split_space(self, limit));
  }
  const std::string separator = reader.text(0, "");
  check(!separator.empty(), kWhere, "split at an empty text");
  return list_of(in, split_at(self, separator, limit, kFromRight));
}

Value split_lines_method(Interpreter& in, const std::string& self, Arguments& args) {
  const ArgReader reader("splitlines", args, {});
  charge_split(in, self);
  return list_of(in, split_lines(self));
}

template <bool kFromRight>
Value partition(Interpreter& in, const std::string& self, Arguments& args) {
  const ArgReader reader("partition", args, {"sep"});
  const std::string separator = reader.text(0, "");
  check(!separator.empty(), kWhere, "partition at an empty text");
  const size_t at = kFromRight ? self.rfind(separator) : self.find(separator);
  if (at == std::string::npos) {
    return list_of(in,
                   kFromRight ? std::vector<std::string>{"", "", self}
                              : std::vector<std::string>{self, "", ""},
                   true);
  }
  return list_of(in, {self.substr(0, at), separator, self.substr(at + separator.size())}, true);
}

template <bool kAtEnd>
Value begins_or_ends(Interpreter&, const std::string& self, Arguments& args) {
  const ArgReader reader("startswith or endswith", args, {"affix"});
  const auto holds = [&self](const Value& affix) {
    const std::string& text = text_input("startswith or endswith", affix);
    return kAtEnd ? self.ends_with(text) : self.starts_with(text);
  };
  const Value& affix = reader.required(0);
  if (affix.list() == nullptr) return Value(holds(affix));
  const auto& all = affix.list()->items;
  return Value(std::any_of(all.begin(), all.end(), holds));
}

Value replace(Interpreter& in, const std::string& self, Arguments& args) {
  const ArgReader reader("replace", args, {"old", "new", "count"});
  const std::string& old = text_input("replace", reader.required(0));
  const std::string& fresh = text_input("replace", reader.required(1));
  in.budget()->create(static_cast<int64_t>(self.size()));
  in.budget()->create(count_of(self, old) * static_cast<int64_t>(fresh.size()));
  return Value(replaced(self, old, fresh, reader.integer(2, -1)));
}

template <bool kFromRight>
Value find(Interpreter& in, const std::string& self, Arguments& args) {
  const ArgReader reader("find", args, {"sub"});
  in.budget()->step(static_cast<int64_t>(self.size() / 64));
  const std::string& what = text_input("find", reader.required(0));
  const size_t at = kFromRight ? self.rfind(what) : self.find(what);
  if (at == std::string::npos) return Value(int64_t{-1});
  return Value(utf8::length(std::string_view(self).substr(0, at)));
}

Value index(Interpreter& in, const std::string& self, Arguments& args) {
  Value at = find<false>(in, self, args);
  check(at.integer() >= 0, kWhere, "index: the text is not there");
  return at;
}

Value count(Interpreter& in, const std::string& self, Arguments& args) {
  const ArgReader reader("count", args, {"sub"});
  in.budget()->step(static_cast<int64_t>(self.size() / 64));
  return Value(count_of(self, text_input("count", reader.required(0))));
}

Value join(Interpreter& in, const std::string& self, Arguments& args) {
  const ArgReader reader("join", args, {"iterable"});
  std::string out;
  bool first = true;
  const auto list = items_of(reader.required(0), in.budget());
  for (const Value& item : list->items) {
    const std::string& text = text_input("join", item);
    in.budget()->create(static_cast<int64_t>(self.size() + text.size()));
    if (!first) out += self;
    first = false;
    out += text;
  }
  return Value(std::move(out));
}

Value remove_prefix(Interpreter&, const std::string& self, Arguments& args) {
  const ArgReader reader("removeprefix", args, {"prefix"});
  const std::string prefix = reader.text(0, "");
  return Value(self.starts_with(prefix) ? self.substr(prefix.size()) : self);
}

Value remove_suffix(Interpreter&, const std::string& self, Arguments& args) {
  const ArgReader reader("removesuffix", args, {"suffix"});
  const std::string suffix = reader.text(0, "");
  return Value(self.ends_with(suffix) ? self.substr(0, self.size() - suffix.size()) : self);
}

// str.format with {}, {0} and {name}.
Value format(Interpreter& in, const std::string& self, Arguments& args) {
  std::string out;
  size_t next = 0;
  for (size_t at = 0; at < self.size(); ++at) {
    const char c = self[at];
    if ((c == '{' || c == '}') && at + 1 < self.size() && self[at + 1] == c) {
      out.push_back(c);
      ++at;
      continue;
    }
    if (c != '{') {
      out.push_back(c);
      continue;
    }
    const size_t end = self.find('}', at);
    check(end != std::string::npos, kWhere, "format: \"{{\" without \"}}\"");
    const std::string name = self.substr(at + 1, end - at - 1);
    const bool number =
        std::all_of(name.begin(), name.end(), [](char d) { return d >= '0' && d <= '9'; });
    const Value* value = nullptr;
    if (number && name.size() < 4) {
      const size_t i = name.empty() ? next++ : static_cast<size_t>(std::stoul(name));
      if (i < args.positional.size()) value = &args.positional[i];
    }
    for (const auto& [own, named] : args.named) {
      if (own == name) value = &named;
    }
    check(value != nullptr, kWhere, "format: no value for \"{{{}}}\"", name);
    out += text_of(*value, in.budget());
    at = end;
  }
  return Value(std::move(out));
}

// Whether there are characters and `F` holds for all; only ASCII ones and, for letters, those with
// case.
template <bool (*F)(std::string_view)>
Value all_characters(Interpreter& in, const std::string& self, Arguments& args) {
  const ArgReader reader("method", args, {});
  in.budget()->step(static_cast<int64_t>(self.size() / 16));
  for (size_t at = 0; at < self.size();) {
    const auto size = static_cast<size_t>(std::max(1, utf8::read(self, at).size));
    if (!F(std::string_view(self).substr(at, size))) return Value(false);
    at += size;
  }
  return Value(!self.empty());
}

bool digit(std::string_view c) { return c[0] >= '0' && c[0] <= '9'; }
bool alpha(std::string_view c) { return upper(c) != lower(c); }
bool alnum(std::string_view c) { return digit(c) || alpha(c); }
bool space(std::string_view c) { return space_at(c, 0) > 0; }

template <std::string (*kSame)(std::string_view), std::string (*kOther)(std::string_view)>
Value has_case(Interpreter&, const std::string& self, Arguments& args) {
  const ArgReader reader("method", args, {});
  return Value(kSame(self) == self && kOther(self) != self);
}

struct NamedMethod {
  std::string_view name;
  Method method;
};

constexpr NamedMethod kMethods[] = {
    {"capitalize", mapped<capitalized>},
    {"count", count},
    {"endswith", begins_or_ends<true>},
    {"find", find<false>},
    {"format", format},
    {"index", index},
    {"isalnum", all_characters<alnum>},
    {"isalpha", all_characters<alpha>},
    {"isdecimal", all_characters<digit>},
    {"isdigit", all_characters<digit>},
    {"islower", has_case<lower, upper>},
    {"isnumeric", all_characters<digit>},
    {"isspace", all_characters<space>},
    {"isupper", has_case<upper, lower>},
    {"join", join},
    {"lower", mapped<lower>},
    {"lstrip", strip<Side::kLeft>},
    {"partition", partition<false>},
    {"removeprefix", remove_prefix},
    {"removesuffix", remove_suffix},
    {"replace", replace},
    {"rfind", find<true>},
    {"rpartition", partition<true>},
    {"rsplit", split<true>},
    {"rstrip", strip<Side::kRight>},
    {"split", split<false>},
    {"splitlines", split_lines_method},
    {"startswith", begins_or_ends<false>},
    {"strip", strip<Side::kBoth>},
    {"title", mapped<title>},
    {"upper", mapped<upper>},
};

}  // namespace

std::optional<Value> find_string_method(const Value& object, std::string_view name) {
  const auto* it = std::find_if(std::begin(kMethods), std::end(kMethods),
                                [name](const NamedMethod& m) { return m.name == name; });
  if (it == std::end(kMethods)) return std::nullopt;
  return Value::function(std::string(name),
                         [object, method = it->method](Interpreter& in, Arguments& args) {
                           return method(in, *object.string(), args);
                         });
}

}  // namespace yiti::jinja
