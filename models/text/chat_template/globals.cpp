// The functions that every template sees.
#include <algorithm>
#include <ctime>

#include "models/text/chat_template/filters.h"
#include "models/text/chat_template/interpreter.h"

namespace yiti::jinja {
namespace {

Value range(Interpreter& in, Arguments& args) {
  const ArgReader reader("range", args, {"start", "stop", "step"});
  int64_t start = 0, stop = 0;
  const auto integer = [](const Value& value) {
    check(value.is_integer(), kWhere, "range of a {}", value.type_name());
    return value.integer();
  };
  if (reader.get(1) == nullptr) {
    stop = integer(reader.required(0));
  } else {
    start = integer(reader.required(0));
    stop = integer(*reader.get(1));
  }
  const int64_t step = reader.integer(2, 1);
  check(step != 0, kWhere, "range with step 0");
  std::vector<Value> out;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<int64_t>(out.size()) == kMaxRange) {
      fail(Code::kResourceExhausted, kWhere, "a range of more than {}", kMaxRange);
    }
    in.budget()->create(sizeof(Value));
    out.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return Value::list(std::move(out));
}

// What dict(…) and namespace(…) take: a mapping and named values.
std::vector<std::pair<std::string, Value>> fields_from(std::string_view function, Arguments& args) {
  check(args.positional.size() <= 1, kWhere, "{} takes at most one mapping", function);
  std::vector<std::pair<std::string, Value>> fields;
  for (const Value& base : args.positional) {
    check(base.dict() != nullptr, kWhere, "{} of a {}; wants a mapping", function,
          base.type_name());
    for (const auto& [key, value] : base.dict()->entries()) {
      fields.emplace_back(text_input(function, key), value);
    }
  }
  fields.insert(fields.end(), args.named.begin(), args.named.end());
  return fields;
}

Value make_dict(Interpreter& in, Arguments& args) {
  auto dict = std::make_shared<Dict>();
  for (auto& [name, value] : fields_from("dict", args)) {
    dict->set(Value(name), std::move(value), in.budget());
  }
  return Value(std::shared_ptr<const Dict>(std::move(dict)));
}

Value make_namespace(Interpreter& in, Arguments& args) {
  Namespace space;
  for (auto& [name, value] : fields_from("namespace", args)) {
    check(!name.starts_with('_'), kWhere, "a namespace has no attribute \"{}\"", name);
    in.budget()->create(64);
    std::erase_if(space.fields, [&own = name](const auto& field) { return field.first == own; });
    space.fields.emplace_back(name, std::move(value));
  }
  return in.make_namespace(std::move(space));
}

Value raise_exception(Interpreter& in, Arguments& args) {
  const ArgReader reader("raise_exception", args, {"message"});
  fail(Code::kInvalidArgument, kWhere, "{}", text_of(reader.required(0), in.budget()));
}

// Only what the C library surely knows may reach strftime; "-" drops leading zeros.
bool is_known_format(std::string_view format) {
  for (size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') continue;
    ++at;
    if (at < format.size() && format[at] == '-') ++at;
    constexpr std::string_view kKnown = "aAbBcdDeFGgHhIjmMnpRrSTtuUVwWxXyYzZ%";
    if (at >= format.size() || kKnown.find(format[at]) == std::string_view::npos) return false;
  }
  return true;
}

Value strftime_now(Interpreter& in, Arguments& args) {
  const ArgReader reader("strftime_now", args, {"format"});
  const std::string& format = text_input("strftime_now", reader.required(0));
  check(format.size() <= 256 && is_known_format(format), kWhere,
        "strftime_now does not know the format \"{:.256}\"", format);
  const std::time_t now = in.now_unix_s();
  std::tm parts{};
  check(localtime_r(&now, &parts) != nullptr, kWhere, "strftime_now: the time is out of range");
  char text[8192];
  const size_t size = std::strftime(text, sizeof text, format.c_str(), &parts);
  return Value(std::string(text, size));
}

}  // namespace

const std::vector<std::pair<std::string, Value>>& global_functions() {
  static const std::vector<std::pair<std::string, Value>> kFunctions = {
      {"range", Value::function("range", range)},
      {"dict", Value::function("dict", make_dict)},
      {"namespace", Value::function("namespace", make_namespace)},
      {"raise_exception", Value::function("raise_exception", raise_exception)},
      {"strftime_now", Value::function("strftime_now", strftime_now)}};
  return kFunctions;
}

}  // namespace yiti::jinja
