// The values that templates compute with: Python's, immutable but for namespaces.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "models/text/chat_template/budget.h"

namespace yiti::jinja {

class Value;
class Interpreter;
struct Arguments;

/// What a name or item gives that is not there: empty text, false, no items; most else is an error.
struct Undefined {
  std::shared_ptr<const std::string> name;
};
struct None {};

/// A list or a tuple.
struct List {
  std::vector<Value> items;
  bool tuple = false;
  int depth = 1;
};

/// A mapping in order of insertion.
class Dict {
 public:
  using Entry = std::pair<Value, Value>;

  /// Replaces the value of a key that is there. Only before the mapping is shared.
  void set(Value key, Value value, Budget* budget);
  /// Null where the key is not there.
  const Value* find(const Value& key, Budget* budget) const;
  const Value* find(std::string_view key) const;
  const std::vector<Entry>& entries() const { return entries_; }
  int depth() const { return depth_; }

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;  // of the keys that are strings
  bool only_strings_ = true;
  int depth_ = 1;
};

/// namespace(…): the one kind of value whose attributes templates may set.
struct Namespace {
  std::vector<std::pair<std::string, Value>> fields;
};

/// A function, a method with its object, or a macro.
struct Callable {
  std::string name;
  std::function<Value(Interpreter&, Arguments&)> call;
  int depth = 1;  ///< counts the object of a method
};

/// What `loop` is in the body of a for.
struct Loop;

class Value {
 public:
  using String = std::shared_ptr<const std::string>;
  using Data =
      std::variant<Undefined, None, bool, int64_t, double, String, std::shared_ptr<const List>,
                   std::shared_ptr<const Dict>, std::shared_ptr<Namespace>,
                   std::shared_ptr<const Callable>, std::shared_ptr<Loop>>;

  Value() = default;
  explicit Value(None) : data_(None{}) {}
  explicit Value(bool value) : data_(value) {}
  explicit Value(int64_t value) : data_(value) {}
  explicit Value(double value) : data_(value) {}
  explicit Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
  explicit Value(std::string_view text) : Value(std::string(text)) {}
  explicit Value(const char*) = delete;  // would be a bool
  explicit Value(std::shared_ptr<const Dict> dict) : data_(std::move(dict)) {}
  explicit Value(std::shared_ptr<Namespace> space) : data_(std::move(space)) {}
  explicit Value(std::shared_ptr<const Callable> callable) : data_(std::move(callable)) {}
  explicit Value(std::shared_ptr<Loop> loop) : data_(std::move(loop)) {}
  /// A list; throws kResourceExhausted where it is nested too deep.
  static Value list(std::vector<Value> items, bool tuple = false);
  static Value undefined(std::string_view name);
  /// `depth`: of the values that `call` holds.
  static Value function(std::string name, std::function<Value(Interpreter&, Arguments&)> call,
                        int depth = 0);

  template <class T>
  const T* get() const {
    return std::get_if<T>(&data_);
  }
  /// The list, mapping, … or null where the value is of another kind.
  const std::string* string() const { return pointee<const std::string>(); }
  const List* list() const { return pointee<const List>(); }
  const Dict* dict() const { return pointee<const Dict>(); }
  Namespace* space() const { return pointee<Namespace>(); }
  const Callable* callable() const { return pointee<const Callable>(); }
  Loop* loop() const { return pointee<Loop>(); }

  bool is_undefined() const { return get<Undefined>() != nullptr; }
  bool is_none() const { return get<None>() != nullptr; }
  /// int or bool, as Python has it.
  bool is_integer() const { return get<int64_t>() != nullptr || get<bool>() != nullptr; }
  bool is_number() const { return is_integer() || get<double>() != nullptr; }
  /// The integer; only where is_integer().
  int64_t integer() const { return get<bool>() ? int64_t{*get<bool>()} : *get<int64_t>(); }
  /// The number; only where is_number().
  double number() const { return get<double>() ? *get<double>() : static_cast<double>(integer()); }

  bool truth() const;
  int depth() const;
  /// Python's name of the type.
  std::string_view type_name() const;

 private:
  template <class T>
  T* pointee() const {
    const auto* p = std::get_if<std::shared_ptr<T>>(&data_);
    return p == nullptr ? nullptr : p->get();
  }

  Data data_;
};

struct Loop {
  std::shared_ptr<const List> items;
  size_t index = 0;
  int level = 1;        ///< of loops in each other
  int value_depth = 1;  ///< counts the items
  /// What changed(…) was called with before, as text: a value could hold the loop itself.
  std::optional<std::string> last_changed;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// Python's == and <; less throws kInvalidArgument for kinds that have no order.
bool equal(const Value& a, const Value& b, Budget* budget);
bool less(const Value& a, const Value& b, Budget* budget);

/// What str(value) and repr(value) give.
std::string text_of(const Value& value, Budget* budget);
std::string repr_of(const Value& value, Budget* budget);
/// A float as Python writes it.
std::string float_text(double value);

/// The items that iteration gives: of a list, a mapping's keys, a text's characters. Throws
/// kInvalidArgument for what cannot be iterated.
std::shared_ptr<const List> items_of(const Value& value, Budget* budget);

Value from_json(const nlohmann::ordered_json& json, Budget* budget, int depth = 0);

/// How tojson writes: the arguments of Python's json.dumps.
struct JsonStyle {
  int64_t indent = -1;  ///< -1: one line
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false, ensure_ascii = false;
};
std::string to_json(const Value& value, const JsonStyle& style, Budget* budget);

}  // namespace yiti::jinja
