// Filters, tests and what reads their arguments.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/chat_template/interpreter.h"
#include "models/text/chat_template/value.h"

namespace yiti::jinja {

using FilterFunction = Value (*)(Interpreter&, const Value& input, Arguments&);
using TestFunction = bool (*)(Interpreter&, const Value& input, Arguments&);

/// Null where there is none of that name.
FilterFunction find_filter(std::string_view name);
TestFunction find_test(std::string_view name);

/// A table row; families of filters are tables.
struct NamedFilter {
  std::string_view name;
  FilterFunction function;
};
std::vector<NamedFilter> text_filters();
std::vector<NamedFilter> sequence_filters();
std::vector<NamedFilter> selection_filters();

/// The arguments of one call by the names of its parameters.
class ArgReader {
 public:
  /// Throws kInvalidArgument for arguments that are too many or not in `names`.
  ArgReader(std::string_view function, const Arguments& args,
            std::initializer_list<std::string_view> names);

  /// The argument, or null where it was not given.
  const Value* get(size_t i) const { return values_[i]; }
  /// Each throws kInvalidArgument for an argument of another kind. None counts as not given.
  int64_t integer(size_t i, int64_t otherwise) const;
  std::string text(size_t i, std::string_view otherwise) const;
  bool flag(size_t i, bool otherwise) const;
  /// The argument; throws kInvalidArgument where it was not given.
  const Value& required(size_t i) const;

 private:
  [[noreturn]] void wrong(size_t i, std::string_view wants) const;

  std::string function_;
  std::vector<std::string_view> names_;
  std::vector<const Value*> values_;
};

/// value.a.b or value.0.b for the path "a.b", as map(attribute=…) reads it.
Value path_of(const Value& value, const Value& path, Budget* budget);

/// The input as text; throws kInvalidArgument where it is none.
const std::string& text_input(std::string_view function, const Value& input);

}  // namespace yiti::jinja
