#include "models/text/chat_template/operators.h"

#include <algorithm>
#include <cmath>

#include "models/text/chat_template/text_tools.h"

namespace yiti::jinja {
namespace {

std::string_view symbol_of(Operator op) {
  constexpr std::string_view kSymbols[] = {"+",  "-",  "*", "/",  "//", "%",  "**", "~",
                                           "==", "!=", "<", "<=", ">",  ">=", "in", "not in"};
  return kSymbols[static_cast<size_t>(op)];
}

[[noreturn]] void no_such(Operator op, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b}) {
    const auto* undefined = value->get<Undefined>();
    if (undefined != nullptr && undefined->name != nullptr) {
      fail(Code::kInvalidArgument, kWhere, "\"{}\" is undefined", *undefined->name);
    }
  }
  fail(Code::kInvalidArgument, kWhere, "{} {} {} has no meaning", a.type_name(), symbol_of(op),
       b.type_name());
}

[[noreturn]] void too_large() { fail(Code::kOutOfRange, kWhere, "an integer beyond 64 bits"); }

Value float_result(Operator op, double a, double b) {
  const bool divides =
      op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  check(!divides || b != 0, kWhere, "division by zero");
  switch (op) {
    case Operator::kAdd: return Value(a + b);
    case Operator::kSubtract: return Value(a - b);
    case Operator::kMultiply: return Value(a * b);
    case Operator::kDivide: return Value(a / b);
    case Operator::kFloorDivide: return Value(std::floor(a / b));
    case Operator::kModulo: {
      const double rest = std::fmod(a, b);
      return Value(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
    }
    default: return Value(std::pow(a, b));
  }
}

Value power(int64_t base, int64_t exponent) {
  if (exponent < 0)
    return float_result(Operator::kPower, static_cast<double>(base), static_cast<double>(exponent));
  if (base == 0 || base == 1) return Value(exponent == 0 ? int64_t{1} : base);
  if (base == -1) return Value(exponent % 2 == 0 ? int64_t{1} : int64_t{-1});
  int64_t result = 1;
  for (int64_t i = 0; i < exponent; ++i) {  // at most 63 rounds
    if (__builtin_mul_overflow(result, base, &result)) too_large();
  }
  return Value(result);
}

Value integer_result(Operator op, int64_t a, int64_t b) {
  int64_t out = 0;
  bool overflow = false;
  switch (op) {
    case Operator::kAdd: overflow = __builtin_add_overflow(a, b, &out); break;
    case Operator::kSubtract: overflow = __builtin_sub_overflow(a, b, &out); break;
    case Operator::kMultiply: overflow = __builtin_mul_overflow(a, b, &out); break;
    case Operator::kDivide: return float_result(op, static_cast<double>(a), static_cast<double>(b));
    case Operator::kPower: return power(a, b);
    default: {
      check(b != 0, kWhere, "division by zero");
      if (b == -1) {
        if (op == Operator::kModulo) return Value(int64_t{0});
        overflow = __builtin_sub_overflow(int64_t{0}, a, &out);
        break;
      }
      const bool adjust = a % b != 0 && (a % b < 0) != (b < 0);
      out = op == Operator::kModulo ? a % b + (adjust ? b : 0) : a / b - (adjust ? 1 : 0);
    }
  }
  if (overflow) too_large();
  return Value(out);
}

Value repeated(const Value& what, int64_t count, Budget* budget) {
  count = std::max<int64_t>(0, count);
  const auto charge = [&](size_t bytes) {
    int64_t total = 0;
    if (__builtin_mul_overflow(static_cast<int64_t>(bytes), count, &total)) total = INT64_MAX / 2;
    budget->create(total);
  };
  if (const std::string* text = what.string()) {
    charge(text->size());
    std::string out;
    out.reserve(text->size() * static_cast<size_t>(count));
    for (int64_t i = 0; i < (text->empty() ? 0 : count); ++i) out += *text;
    return Value(std::move(out));
  }
  const List& list = *what.list();
  charge(list.items.size() * sizeof(Value));
  std::vector<Value> out;
  for (int64_t i = 0; i < (list.items.empty() ? 0 : count); ++i) {
    out.insert(out.end(), list.items.begin(), list.items.end());
  }
  return Value::list(std::move(out), list.tuple);
}

Value sum(const Value& a, const Value& b, Budget* budget) {
  if (a.string() && b.string()) {
    budget->create(static_cast<int64_t>(a.string()->size() + b.string()->size()));
    return Value(*a.string() + *b.string());
  }
  if (!a.list() || !b.list() || a.list()->tuple != b.list()->tuple) no_such(Operator::kAdd, a, b);
  budget->create(
      static_cast<int64_t>((a.list()->items.size() + b.list()->items.size()) * sizeof(Value)));
  std::vector<Value> items = a.list()->items;
  items.insert(items.end(), b.list()->items.begin(), b.list()->items.end());
  return Value::list(std::move(items), a.list()->tuple);
}

// Python's slice indices for a length.
struct Indices {
  int64_t begin, end, step;
};

Indices indices_of(int64_t length, std::optional<int64_t> begin, std::optional<int64_t> end,
                   std::optional<int64_t> step) {
  const int64_t by = std::clamp<int64_t>(step.value_or(1), -INT64_MAX, INT64_MAX);
  check(by != 0, kWhere, "a slice with step 0");
  const int64_t low = by > 0 ? 0 : -1, high = by > 0 ? length : length - 1;
  const auto place = [&](std::optional<int64_t> at, int64_t otherwise) {
    if (!at) return otherwise;
    return std::clamp(*at < 0 ? std::max(*at, -length - 1) + length : *at, low, high);
  };
  return {place(begin, by > 0 ? low : high), place(end, by > 0 ? high : low), by};
}

template <class F>
void for_each_index(const Indices& indices, F&& f) {
  int64_t i = indices.begin;
  while (indices.step > 0 ? i < indices.end : i > indices.end) {
    f(static_cast<size_t>(i));
    if (__builtin_add_overflow(i, indices.step, &i)) break;
  }
}

}  // namespace

bool is_comparison(Operator op) { return op >= Operator::kEqual; }

Value computed(Operator op, const Value& a, const Value& b, Budget* budget) {
  if (a.is_integer() && b.is_integer()) return integer_result(op, a.integer(), b.integer());
  if (a.is_number() && b.is_number()) return float_result(op, a.number(), b.number());
  if (op == Operator::kAdd) return sum(a, b, budget);
  if (op == Operator::kMultiply) {
    if ((a.string() || a.list()) && b.is_integer()) return repeated(a, b.integer(), budget);
    if ((b.string() || b.list()) && a.is_integer()) return repeated(b, a.integer(), budget);
  }
  if (op == Operator::kModulo && a.string()) {
    return Value(percent_format(*a.string(), b, budget));
  }
  no_such(op, a, b);
}

bool compared(Operator op, const Value& a, const Value& b, Budget* budget) {
  switch (op) {
    case Operator::kEqual: return equal(a, b, budget);
    case Operator::kNotEqual: return !equal(a, b, budget);
    case Operator::kIn: return contains(b, a, budget);
    case Operator::kNotIn: return !contains(b, a, budget);
    case Operator::kLess: return less(a, b, budget);
    case Operator::kGreater: return less(b, a, budget);
    case Operator::kLessEqual:
      return less(a, b, budget) || equal(a, b, budget);  // first what may have no order
    default: return less(b, a, budget) || equal(a, b, budget);
  }
}

bool contains(const Value& container, const Value& item, Budget* budget) {
  if (const std::string* text = container.string()) {
    budget->step(static_cast<int64_t>(text->size() / 64));
    if (item.string() == nullptr) no_such(Operator::kIn, item, container);
    return text->find(*item.string()) != std::string::npos;
  }
  if (const Dict* dict = container.dict()) return dict->find(item, budget) != nullptr;
  if (container.is_undefined()) return false;
  if (container.list() == nullptr) no_such(Operator::kIn, item, container);
  const auto& items = container.list()->items;
  return std::any_of(items.begin(), items.end(),
                     [&](const Value& other) { return equal(other, item, budget); });
}

Value sliced(const Value& object, std::optional<int64_t> begin, std::optional<int64_t> end,
             std::optional<int64_t> step, Budget* budget) {
  if (const std::string* text = object.string()) {
    budget->create(static_cast<int64_t>(text->size() * sizeof(size_t)));
    const std::vector<size_t> starts = character_starts(*text);
    std::string out;
    const auto length = static_cast<int64_t>(starts.size()) - 1;
    for_each_index(indices_of(length, begin, end, step),
                   [&](size_t i) { out.append(*text, starts[i], starts[i + 1] - starts[i]); });
    return Value(std::move(out));
  }
  if (const List* list = object.list()) {
    budget->create(static_cast<int64_t>(list->items.size() * sizeof(Value)));
    std::vector<Value> out;
    for_each_index(indices_of(static_cast<int64_t>(list->items.size()), begin, end, step),
                   [&](size_t i) { out.push_back(list->items[i]); });
    return Value::list(std::move(out), list->tuple);
  }
  fail(Code::kInvalidArgument, kWhere, "a {} cannot be sliced", object.type_name());
}

}  // namespace yiti::jinja
