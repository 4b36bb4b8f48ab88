// Filters on lists and mappings.
#include <algorithm>

#include "models/text/chat_template/filters.h"
#include "models/text/chat_template/operators.h"
#include "models/text/chat_template/text_tools.h"
#include "models/text/utf8.h"

namespace yiti::jinja {
namespace {

std::vector<Value> copied_items(Interpreter& in, const Value& input) {
  const auto list = items_of(input, in.budget());
  in.budget()->create(static_cast<int64_t>(list->items.size() * sizeof(Value)));
  return list->items;
}

int64_t length_of(const Value& value) {
  if (value.string() != nullptr) return utf8::length(*value.string());
  if (value.list() != nullptr) return static_cast<int64_t>(value.list()->items.size());
  if (value.dict() != nullptr) return static_cast<int64_t>(value.dict()->entries().size());
  check(value.is_undefined(), kWhere, "a {} has no length", value.type_name());
  return 0;
}

Value length(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("length", args, {});
  if (input.string() != nullptr) {
    in.budget()->step(static_cast<int64_t>(input.string()->size() / 64));
  }
  return Value(length_of(input));
}

Value first(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("first", args, {});
  const auto list = items_of(input, in.budget());
  return list->items.empty() ? Value::undefined("first") : list->items.front();
}

Value last(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("last", args, {});
  const auto list = items_of(input, in.budget());
  return list->items.empty() ? Value::undefined("last") : list->items.back();
}

Value to_list(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("list", args, {});
  return Value::list(copied_items(in, input));
}

Value items(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("items", args, {});
  if (input.is_undefined()) return Value::list({});
  check(input.dict() != nullptr, kWhere, "items wants a mapping; got a {}", input.type_name());
  std::vector<Value> out;
  for (const auto& [key, value] : input.dict()->entries()) {
    in.budget()->create(4 * sizeof(Value));
    out.push_back(Value::list({key, value}, true));
  }
  return Value::list(std::move(out));
}

Value join(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("join", args, {"d", "attribute"});
  const std::string separator =
      reader.get(0) != nullptr ? text_of(*reader.get(0), in.budget()) : std::string();
  const bool by_attribute = reader.get(1) != nullptr && !reader.get(1)->is_none();
  std::string out;
  bool is_first = true;
  const auto list = items_of(input, in.budget());
  for (const Value& item : list->items) {
    in.budget()->create(static_cast<int64_t>(separator.size()));
    if (!is_first) out += separator;
    is_first = false;
    out += text_of(by_attribute ? path_of(item, *reader.get(1), in.budget()) : item, in.budget());
  }
  return Value(std::move(out));
}

Value reverse(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("reverse", args, {});
  if (input.string() != nullptr) return sliced(input, {}, {}, -1, in.budget());
  std::vector<Value> list = copied_items(in, input);
  std::reverse(list.begin(), list.end());
  return Value::list(std::move(list));
}

Value folded(const Value& value, bool case_sensitive) {
  return case_sensitive || value.string() == nullptr ? value : Value(lower(*value.string()));
}

// Items with what they are compared by, at an attribute where that is given.
struct Keyed {
  Value key, item;
};

std::vector<Keyed> keyed(Interpreter& in, const Value& input, const Value* attribute,
                         bool case_sensitive) {
  std::vector<Keyed> out;
  for (Value& item : copied_items(in, input)) {
    const Value key = attribute != nullptr && !attribute->is_none()
                          ? path_of(item, *attribute, in.budget())
                          : item;
    in.budget()->create(key.string() != nullptr ? static_cast<int64_t>(key.string()->size()) : 1);
    out.push_back({folded(key, case_sensitive), std::move(item)});
  }
  return out;
}

void sort_by_key(Interpreter& in, bool reversed, std::vector<Keyed>* list) {
  std::stable_sort(list->begin(), list->end(), [&](const Keyed& a, const Keyed& b) {
    return reversed ? less(b.key, a.key, in.budget()) : less(a.key, b.key, in.budget());
  });
}

Value items_from(std::vector<Keyed> list) {
  std::vector<Value> out;
  for (Keyed& entry : list) out.push_back(std::move(entry.item));
  return Value::list(std::move(out));
}

Value sort(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("sort", args, {"reverse", "case_sensitive", "attribute"});
  std::vector<Keyed> list = keyed(in, input, reader.get(2), reader.flag(1, false));
  sort_by_key(in, reader.flag(0, false), &list);
  return items_from(std::move(list));
}

Value unique(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("unique", args, {"case_sensitive", "attribute"});
  std::vector<Keyed> kept;
  for (Keyed& entry : keyed(in, input, reader.get(1), reader.flag(0, false))) {
    const bool seen = std::any_of(kept.begin(), kept.end(), [&](const Keyed& other) {
      return equal(entry.key, other.key, in.budget());
    });
    if (!seen) kept.push_back(std::move(entry));
  }
  return items_from(std::move(kept));
}

template <bool kLargest>
Value extreme(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("min or max", args, {"case_sensitive", "attribute"});
  std::vector<Keyed> list = keyed(in, input, reader.get(1), reader.flag(0, false));
  if (list.empty()) return Value::undefined("min or max of nothing");
  const auto before = [&](const Keyed& a, const Keyed& b) {
    return less(a.key, b.key, in.budget());
  };
  // Of equal ones the first, as Python.
  const auto it = kLargest ? std::max_element(list.begin(), list.end(), before)
                           : std::min_element(list.begin(), list.end(), before);
  return it->item;
}

Value sum(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("sum", args, {"attribute", "start"});
  Value total = reader.get(1) != nullptr ? *reader.get(1) : Value(int64_t{0});
  const bool by_attribute = reader.get(0) != nullptr && !reader.get(0)->is_none();
  const auto list = items_of(input, in.budget());
  for (const Value& item : list->items) {
    total = computed(Operator::kAdd, total,
                     by_attribute ? path_of(item, *reader.get(0), in.budget()) : item, in.budget());
  }
  return total;
}

Value dict_sort(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("dictsort", args, {"case_sensitive", "by", "reverse"});
  Arguments none;
  const std::string by = reader.text(1, "key");
  check(by == "key" || by == "value", kWhere, "dictsort by \"{}\"; wants key or value", by);
  const Value index(int64_t{by == "key" ? 0 : 1});
  std::vector<Keyed> list = keyed(in, items(in, input, none), &index, reader.flag(0, false));
  sort_by_key(in, reader.flag(2, false), &list);
  return items_from(std::move(list));
}

Value batch(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("batch", args, {"linecount", "fill_with"});
  const int64_t size = reader.integer(0, 0);
  check(size > 0 && size <= kMaxRange, kWhere, "batch of {}; wants 1 to {}", size, kMaxRange);
  std::vector<Value> out, line;
  for (Value& item : copied_items(in, input)) {
    line.push_back(std::move(item));
    if (static_cast<int64_t>(line.size()) < size) continue;
    out.push_back(Value::list(std::exchange(line, {})));
  }
  if (!line.empty()) {
    const Value* fill = reader.get(1);
    if (fill != nullptr && !fill->is_none()) {
      in.budget()->create(size * static_cast<int64_t>(sizeof(Value)));
      line.resize(static_cast<size_t>(size), *fill);
    }
    out.push_back(Value::list(std::move(line)));
  }
  return Value::list(std::move(out));
}

Value group_by(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("groupby", args, {"attribute", "default", "case_sensitive"});
  std::vector<Keyed> list = keyed(in, input, &reader.required(0), reader.flag(2, false));
  for (Keyed& entry : list) {
    if (entry.key.is_undefined() && reader.get(1) != nullptr) entry.key = *reader.get(1);
  }
  sort_by_key(in, false, &list);
  std::vector<Value> out;
  for (size_t i = 0; i < list.size();) {
    const Value key = list[i].key;
    std::vector<Value> group;
    for (; i < list.size() && equal(key, list[i].key, in.budget()); ++i) {
      group.push_back(list[i].item);
    }
    Value shown = path_of(group.front(), reader.required(0), in.budget());
    if (shown.is_undefined()) shown = key;
    out.push_back(Value::list({std::move(shown), Value::list(std::move(group))}, true));
  }
  return Value::list(std::move(out));
}

}  // namespace

std::vector<NamedFilter> sequence_filters() {
  return {{"batch", batch},     {"count", length},      {"dictsort", dict_sort},
          {"first", first},     {"groupby", group_by},  {"items", items},
          {"join", join},       {"last", last},         {"length", length},
          {"list", to_list},    {"max", extreme<true>}, {"min", extreme<false>},
          {"reverse", reverse}, {"sort", sort},         {"sum", sum},
          {"unique", unique}};
}

}  // namespace yiti::jinja
