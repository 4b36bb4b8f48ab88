// The methods of mappings, lists and loops, and how attributes and items are looked up.
#include "models/text/chat_template/methods.h"

#include <algorithm>

#include "models/text/chat_template/filters.h"
#include "models/text/chat_template/text_tools.h"
#include "models/text/utf8.h"

namespace yiti::jinja {
namespace {

using Method = Value (*)(Interpreter&, const Value& self, Arguments&);

struct NamedMethod {
  std::string_view name;
  Method method;
};

Value dict_get(Interpreter& in, const Value& self, Arguments& args) {
  const ArgReader reader("get", args, {"key", "default"});
  if (const Value* value = self.dict()->find(reader.required(0), in.budget())) return *value;
  return reader.get(1) != nullptr ? *reader.get(1) : Value(None{});
}

Value dict_items(Interpreter& in, const Value& self, Arguments& args) {
  return in.filter("items", self, args);
}

Value dict_keys(Interpreter& in, const Value& self, Arguments& args) {
  const ArgReader reader("keys", args, {});
  return Value::list(items_of(self, in.budget())->items);
}

Value dict_values(Interpreter& in, const Value& self, Arguments& args) {
  const ArgReader reader("values", args, {});
  std::vector<Value> out;
  for (const auto& [key, value] : self.dict()->entries()) out.push_back(value);
  in.budget()->create(static_cast<int64_t>(out.size() * sizeof(Value)));
  return Value::list(std::move(out));
}

Value unchanged_copy(Interpreter&, const Value& self, Arguments& args) {
  const ArgReader reader("copy", args, {});
  return self;
}

Value list_index(Interpreter& in, const Value& self, Arguments& args) {
  const ArgReader reader("index", args, {"value"});
  const auto& items = self.list()->items;
  const auto it = std::find_if(items.begin(), items.end(), [&](const Value& item) {
    return equal(item, reader.required(0), in.budget());
  });
  check(it != items.end(), kWhere, "index: the value is not in the list");
  return Value(int64_t{it - items.begin()});
}

Value list_count(Interpreter& in, const Value& self, Arguments& args) {
  const ArgReader reader("count", args, {"value"});
  const auto& items = self.list()->items;
  return Value(int64_t{std::count_if(items.begin(), items.end(), [&](const Value& item) {
    return equal(item, reader.required(0), in.budget());
  })});
}

Value refused(Interpreter&, const Value& self, Arguments&) {
  fail(Code::kInvalidArgument, kWhere, "templates cannot change a {}; use + or a namespace",
       self.type_name());
}

constexpr NamedMethod kDictMethods[] = {
    {"copy", unchanged_copy}, {"get", dict_get},   {"items", dict_items}, {"keys", dict_keys},
    {"values", dict_values},  {"clear", refused},  {"pop", refused},      {"popitem", refused},
    {"setdefault", refused},  {"update", refused},
};
constexpr NamedMethod kListMethods[] = {
    {"count", list_count},    {"index", list_index}, {"append", refused}, {"clear", refused},
    {"copy", unchanged_copy}, {"extend", refused},   {"insert", refused}, {"pop", refused},
    {"remove", refused},      {"reverse", refused},  {"sort", refused},
};

Value loop_cycle(Interpreter&, const Value& self, Arguments& args) {
  check(!args.positional.empty(), kWhere, "loop.cycle without values");
  return args.positional[self.loop()->index % args.positional.size()];
}

Value loop_changed(Interpreter& in, const Value& self, Arguments& args) {
  std::string now = repr_of(Value::list(std::move(args.positional)), in.budget());
  const bool changed = self.loop()->last_changed != now;
  self.loop()->last_changed = std::move(now);
  return Value(changed);
}

constexpr NamedMethod kLoopMethods[] = {{"changed", loop_changed}, {"cycle", loop_cycle}};

template <size_t kSize>
std::optional<Value> bound(const NamedMethod (&methods)[kSize], const Value& object,
                           std::string_view name) {
  const auto* it = std::find_if(std::begin(methods), std::end(methods),
                                [name](const NamedMethod& m) { return m.name == name; });
  if (it == std::end(methods)) return std::nullopt;
  return Value::function(
      std::string(name),
      [object, method = it->method](Interpreter& in, Arguments& args) {
        return method(in, object, args);
      },
      object.depth());
}

Value loop_attribute(const Value& object, std::string_view name) {
  const Loop& loop = *object.loop();
  const std::vector<Value>& items = loop.items->items;
  const auto index = static_cast<int64_t>(loop.index), size = static_cast<int64_t>(items.size());
  if (name == "index") return Value(index + 1);
  if (name == "index0") return Value(index);
  if (name == "revindex") return Value(size - index);
  if (name == "revindex0") return Value(size - index - 1);
  if (name == "first") return Value(index == 0);
  if (name == "last") return Value(index + 1 == size);
  if (name == "length") return Value(size);
  if (name == "depth") return Value(int64_t{loop.level});
  if (name == "depth0") return Value(int64_t{loop.level - 1});
  if (name == "previtem" && index > 0) return items[loop.index - 1];
  if (name == "nextitem" && index + 1 < size) return items[loop.index + 1];
  return Value::undefined(name);
}

void refuse_undefined(const Value& object, std::string_view wanted) {
  const auto* undefined = object.get<Undefined>();
  if (undefined == nullptr) return;
  fail(Code::kInvalidArgument, kWhere, "\"{}\" is undefined and so has no \"{}\"",
       undefined->name != nullptr ? *undefined->name : "", wanted);
}

Value character_at(const std::string& text, int64_t index, Budget* budget) {
  budget->step(static_cast<int64_t>(text.size() / 16));
  const int64_t length = utf8::length(text);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return Value::undefined("character");
  size_t at = 0;
  for (int64_t i = 0; i < index; ++i) {
    at += static_cast<size_t>(std::max(1, utf8::read(text, at).size));
  }
  return Value(text.substr(at, static_cast<size_t>(std::max(1, utf8::read(text, at).size))));
}

}  // namespace

std::optional<Value> find_method(const Value& object, std::string_view name) {
  if (object.string() != nullptr) return find_string_method(object, name);
  if (object.dict() != nullptr) return bound(kDictMethods, object, name);
  if (object.list() != nullptr) return bound(kListMethods, object, name);
  if (object.loop() != nullptr) return bound(kLoopMethods, object, name);
  return std::nullopt;
}

Value attribute_of(const Value& object, std::string_view name) {
  refuse_undefined(object, name);
  if (std::optional<Value> method = find_method(object, name)) return *std::move(method);
  if (object.loop() != nullptr) return loop_attribute(object, name);
  if (const Dict* dict = object.dict()) {
    if (const Value* value = dict->find(name)) return *value;
  }
  if (const Namespace* space = object.space()) {
    for (const auto& [own, value] : space->fields) {
      if (own == name) return value;
    }
  }
  return Value::undefined(name);
}

Value item_of(const Value& object, const Value& key, Budget* budget) {
  refuse_undefined(object, key.string() != nullptr ? *key.string() : "item");
  if (const Dict* dict = object.dict()) {
    if (const Value* value = dict->find(key, budget)) return *value;
  }
  if (key.string() != nullptr) return attribute_of(object, *key.string());
  if (!key.is_integer()) return Value::undefined("item");
  if (object.string() != nullptr) return character_at(*object.string(), key.integer(), budget);
  if (const List* list = object.list()) {
    const auto size = static_cast<int64_t>(list->items.size());
    const int64_t index = key.integer() < 0 ? key.integer() + size : key.integer();
    if (index >= 0 && index < size) return list->items[static_cast<size_t>(index)];
  }
  return Value::undefined("item");
}

}  // namespace yiti::jinja
