#include "models/text/chat_template/value.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/text/utf8.h"

namespace yiti::jinja {
namespace {

constexpr int64_t kValueBytes = sizeof(Value);

int checked_depth(int depth) {
  if (depth > kMaxValueDepth) {
    fail(Code::kResourceExhausted, kWhere, "nests values deeper than {}", kMaxValueDepth);
  }
  return depth;
}

std::shared_ptr<const List> characters(const std::string& text, Budget* budget) {
  budget->create(static_cast<int64_t>(text.size()) * (kValueBytes + 48));
  auto list = std::make_shared<List>();
  for (size_t at = 0; at < text.size();) {
    const auto size = static_cast<size_t>(std::max(1, utf8::read(text, at).size));
    list->items.emplace_back(text.substr(at, size));
    at += size;
  }
  return list;
}

bool equal_lists(const List& a, const List& b, Budget* budget) {
  if (a.tuple != b.tuple || a.items.size() != b.items.size()) return false;
  return std::equal(a.items.begin(), a.items.end(), b.items.begin(),
                    [budget](const Value& x, const Value& y) { return equal(x, y, budget); });
}

bool equal_dicts(const Dict& a, const Dict& b, Budget* budget) {
  if (a.entries().size() != b.entries().size()) return false;
  return std::all_of(a.entries().begin(), a.entries().end(), [&](const Dict::Entry& entry) {
    const Value* other = b.find(entry.first, budget);
    return other != nullptr && equal(entry.second, *other, budget);
  });
}

}  // namespace

void Dict::set(Value key, Value value, Budget* budget) {
  budget->create(2 * kValueBytes + 64);
  depth_ = checked_depth(std::max(depth_, 1 + std::max(key.depth(), value.depth())));
  const bool hashable = key.dict() == nullptr && key.space() == nullptr &&
                        (key.list() == nullptr || key.list()->tuple);
  check(hashable, kWhere, "a {} cannot be a key", key.type_name());
  if (const Value* old = find(key, budget)) {
    const auto at = std::find_if(entries_.begin(), entries_.end(),
                                 [old](const Entry& e) { return &e.second == old; });
    at->second = std::move(value);
    return;
  }
  if (const std::string* text = key.string()) {
    index_.emplace(*text, entries_.size());
  } else {
    only_strings_ = false;
  }
  entries_.emplace_back(std::move(key), std::move(value));
}

const Value* Dict::find(std::string_view key) const {
  const auto it = index_.find(std::string(key));
  return it == index_.end() ? nullptr : &entries_[it->second].second;
}

const Value* Dict::find(const Value& key, Budget* budget) const {
  if (const std::string* text = key.string()) return find(*text);
  if (only_strings_) return nullptr;
  for (const Entry& entry : entries_) {
    if (equal(entry.first, key, budget)) return &entry.second;
  }
  return nullptr;
}

Value Value::list(std::vector<Value> items, bool tuple) {
  auto list = std::make_shared<List>();
  for (const Value& item : items) list->depth = std::max(list->depth, 1 + item.depth());
  checked_depth(list->depth);
  list->items = std::move(items);
  list->tuple = tuple;
  Value value;
  value.data_ = std::shared_ptr<const List>(std::move(list));
  return value;
}

Value Value::undefined(std::string_view name) {
  Value value;
  value.data_ = Undefined{std::make_shared<const std::string>(name)};
  return value;
}

Value Value::function(std::string name, std::function<Value(Interpreter&, Arguments&)> call,
                      int depth) {
  return Value(std::make_shared<const Callable>(
      Callable{std::move(name), std::move(call), checked_depth(depth + 1)}));
}

int Value::depth() const {
  if (list() != nullptr) return list()->depth;
  if (callable() != nullptr) return callable()->depth;
  if (loop() != nullptr) return loop()->value_depth;
  return dict() != nullptr ? dict()->depth() : 0;
}

bool Value::truth() const {
  if (is_undefined() || is_none()) return false;
  if (is_number()) return number() != 0;
  if (string() != nullptr) return !string()->empty();
  if (list() != nullptr) return !list()->items.empty();
  if (dict() != nullptr) return !dict()->entries().empty();
  return true;
}

std::string_view Value::type_name() const {
  constexpr std::string_view kNames[] = {"undefined value", "NoneType", "bool", "int",
                                         "float",           "str",      "list", "dict",
                                         "namespace",       "function", "loop"};
  return list() != nullptr && list()->tuple ? "tuple" : kNames[data_.index()];
}

bool equal(const Value& a, const Value& b, Budget* budget) {
  budget->step();
  if (a.is_integer() && b.is_integer()) return a.integer() == b.integer();
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  if (a.string() && b.string()) {
    budget->step(static_cast<int64_t>(a.string()->size() / 64));
    return *a.string() == *b.string();
  }
  if (a.list() && b.list())
    return a.list() == b.list() || equal_lists(*a.list(), *b.list(), budget);
  if (a.dict() && b.dict())
    return a.dict() == b.dict() || equal_dicts(*a.dict(), *b.dict(), budget);
  if (a.space() || b.space()) return a.space() == b.space();
  if (a.callable() || b.callable()) return a.callable() == b.callable();
  if (a.loop() || b.loop()) return a.loop() == b.loop();
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

bool less(const Value& a, const Value& b, Budget* budget) {
  budget->step();
  if (a.is_integer() && b.is_integer()) return a.integer() < b.integer();
  if (a.is_number() && b.is_number()) return a.number() < b.number();
  if (a.string() && b.string()) {
    budget->step(static_cast<int64_t>(a.string()->size() / 64));
    return *a.string() < *b.string();
  }
  if (a.list() && b.list() && a.list()->tuple == b.list()->tuple) {
    const auto& x = a.list()->items;
    const auto& y = b.list()->items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!equal(x[i], y[i], budget)) return less(x[i], y[i], budget);
    }
    return x.size() < y.size();
  }
  fail(Code::kInvalidArgument, kWhere, "{} and {} have no order", a.type_name(), b.type_name());
}

std::shared_ptr<const List> items_of(const Value& value, Budget* budget) {
  if (const auto* list = value.get<std::shared_ptr<const List>>()) return *list;
  if (value.string() != nullptr) return characters(*value.string(), budget);
  auto out = std::make_shared<List>();
  if (value.is_undefined()) return out;
  if (const Dict* dict = value.dict()) {
    out->depth = dict->depth();
    budget->create(static_cast<int64_t>(dict->entries().size()) * kValueBytes);
    for (const Dict::Entry& entry : dict->entries()) out->items.push_back(entry.first);
    return out;
  }
  fail(Code::kInvalidArgument, kWhere, "a {} has no items to go through", value.type_name());
}

Value from_json(const nlohmann::ordered_json& json, Budget* budget, int depth) {
  checked_depth(depth);
  budget->create(kValueBytes);
  if (json.is_boolean()) return Value(json.get<bool>());
  if (json.is_number_unsigned() && json.get<uint64_t>() > uint64_t{INT64_MAX}) {
    return Value(json.get<double>());
  }
  if (json.is_number_integer()) return Value(json.get<int64_t>());
  if (json.is_number_float()) return Value(json.get<double>());
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    budget->create(static_cast<int64_t>(text.size()));
    return Value(text);
  }
  if (json.is_array()) {
    std::vector<Value> items;
    for (const auto& item : json) items.push_back(from_json(item, budget, depth + 1));
    return Value::list(std::move(items));
  }
  if (json.is_object()) {
    auto dict = std::make_shared<Dict>();
    for (const auto& [key, item] : json.items()) {
      dict->set(Value(key), from_json(item, budget, depth + 1), budget);
    }
    return Value(std::shared_ptr<const Dict>(std::move(dict)));
  }
  return Value(None{});
}

}  // namespace yiti::jinja
