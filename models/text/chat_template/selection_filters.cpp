// map, select and their kin, and the table of all filters.
#include <algorithm>

#include "models/text/chat_template/filters.h"

namespace yiti::jinja {
namespace {

// Takes the first positional argument away; it must be a name.
std::string take_name(std::string_view function, Arguments& args) {
  check(!args.positional.empty(), kWhere, "{} lacks the name of a filter or test", function);
  std::string name = text_input(function, args.positional.front());
  args.positional.erase(args.positional.begin());
  return name;
}

const Value* named(const Arguments& args, std::string_view name) {
  const auto it = std::find_if(args.named.begin(), args.named.end(),
                               [name](const auto& entry) { return entry.first == name; });
  return it == args.named.end() ? nullptr : &it->second;
}

Value map(Interpreter& in, const Value& input, Arguments& args) {
  std::vector<Value> out;
  if (!input.truth()) return Value::list({});  // Jinja does not look further then
  const auto list = items_of(input, in.budget());
  in.budget()->create(static_cast<int64_t>(list->items.size() * sizeof(Value)));
  if (const Value* attribute = args.positional.empty() ? named(args, "attribute") : nullptr) {
    const Value* otherwise = named(args, "default");
    for (const Value& item : list->items) {
      Value value = path_of(item, *attribute, in.budget());
      if (value.is_undefined() && otherwise != nullptr) value = *otherwise;
      out.push_back(std::move(value));
    }
    return Value::list(std::move(out));
  }
  const std::string name = take_name("map", args);
  for (const Value& item : list->items) {
    Arguments own = args;
    out.push_back(in.filter(name, item, own));
  }
  return Value::list(std::move(out));
}

// The items for which a test (of an attribute), or else their truth, is as wanted.
Value chosen(Interpreter& in, const Value& input, Arguments& args, bool wanted,
             const Value* attribute) {
  const std::string name = args.positional.empty() ? "" : take_name("select", args);
  std::vector<Value> out;
  if (!input.truth()) return Value::list({});
  const auto list = items_of(input, in.budget());
  for (const Value& item : list->items) {
    in.budget()->create(sizeof(Value));
    const Value value = attribute != nullptr ? path_of(item, *attribute, in.budget()) : item;
    Arguments own = args;
    const bool holds = name.empty() ? value.truth() : in.test(name, value, own);
    if (holds == wanted) out.push_back(item);
  }
  return Value::list(std::move(out));
}

template <bool kWanted>
Value select(Interpreter& in, const Value& input, Arguments& args) {
  return chosen(in, input, args, kWanted, nullptr);
}

template <bool kWanted>
Value select_attribute(Interpreter& in, const Value& input, Arguments& args) {
  check(!args.positional.empty(), kWhere, "selectattr and rejectattr lack the attribute");
  const Value attribute = args.positional.front();
  args.positional.erase(args.positional.begin());
  return chosen(in, input, args, kWanted, &attribute);
}

}  // namespace

std::vector<NamedFilter> selection_filters() {
  return {{"map", map},
          {"reject", select<false>},
          {"rejectattr", select_attribute<false>},
          {"select", select<true>},
          {"selectattr", select_attribute<true>}};
}

FilterFunction find_filter(std::string_view name) {
  static const std::vector<NamedFilter> kAll = [] {
    std::vector<NamedFilter> all = text_filters();
    for (const auto& family : {sequence_filters(), selection_filters()}) {
      all.insert(all.end(), family.begin(), family.end());
    }
    return all;
  }();
  const auto it = std::find_if(kAll.begin(), kAll.end(),
                               [name](const NamedFilter& f) { return f.name == name; });
  return it == kAll.end() ? nullptr : it->function;
}

}  // namespace yiti::jinja
