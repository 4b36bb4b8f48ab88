// Python's operators on values.
#pragma once

#include <optional>

#include "models/text/chat_template/ast.h"
#include "models/text/chat_template/value.h"

namespace yiti::jinja {

bool is_comparison(Operator op);

/// Throws kInvalidArgument for kinds that do not go together and division by zero, kOutOfRange for
/// integers beyond 64 bits.
Value computed(Operator op, const Value& a, const Value& b, Budget* budget);
bool compared(Operator op, const Value& a, const Value& b, Budget* budget);
bool contains(const Value& container, const Value& item, Budget* budget);
Value sliced(const Value& object, std::optional<int64_t> begin, std::optional<int64_t> end,
             std::optional<int64_t> step, Budget* budget);

/// format % values, for %s, %r, %d, %i, %f, %x and %%.
std::string percent_format(const std::string& format, const Value& values, Budget* budget);

}  // namespace yiti::jinja
