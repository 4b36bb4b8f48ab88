// The expressions of a template.
#include "models/text/chat_template/filters.h"
#include "models/text/chat_template/interpreter.h"
#include "models/text/chat_template/methods.h"
#include "models/text/chat_template/operators.h"

namespace yiti::jinja {

Value Interpreter::evaluate(const Expr& expr) {
  const Nesting nesting(&depth_, kMaxRunDepth);
  budget_.step();
  line_ = expr.line;
  return std::visit([this](const auto& e) { return value_of(e); }, expr.node);
}

Value Interpreter::value_of(const Name& e) {
  const Value* value = scope_->find(e.name);
  return value != nullptr ? *value : Value::undefined(e.name);
}

Value Interpreter::value_of(const ListDisplay& e) {
  std::vector<Value> items;
  for (const ExprPtr& item : e.items) items.push_back(evaluate(*item));
  budget_.create(static_cast<int64_t>(items.size() * sizeof(Value)));
  return Value::list(std::move(items), e.tuple);
}

Value Interpreter::value_of(const DictDisplay& e) {
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, value] : e.entries) {
    Value k = evaluate(*key);
    dict->set(std::move(k), evaluate(*value), &budget_);
  }
  return Value(std::shared_ptr<const Dict>(std::move(dict)));
}

Value Interpreter::value_of(const Conditional& e) {
  if (evaluate(*e.condition).truth()) return evaluate(*e.yes);
  return e.no != nullptr ? evaluate(*e.no) : Value();
}

Value Interpreter::value_of(const Logic& e) {
  for (size_t i = 0; i + 1 < e.operands.size(); ++i) {
    Value value = evaluate(*e.operands[i]);
    if (value.truth() != e.is_and) return value;
  }
  return evaluate(*e.operands.back());
}

Value Interpreter::compare(const OperatorChain& e) {
  Value left = evaluate(*e.first);
  for (const auto& [op, operand] : e.rest) {
    Value right = evaluate(*operand);
    if (!compared(op, left, right, &budget_)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::concatenate(const OperatorChain& e) {
  std::string text = text_of(evaluate(*e.first), &budget_);
  for (const auto& [op, operand] : e.rest) text += text_of(evaluate(*operand), &budget_);
  return Value(std::move(text));
}

Value Interpreter::value_of(const OperatorChain& e) {
  const Operator first = e.rest.front().first;
  if (first == Operator::kConcatenate) return concatenate(e);
  if (is_comparison(first)) return compare(e);
  Value value = evaluate(*e.first);
  for (const auto& [op, operand] : e.rest) {
    value = computed(op, value, evaluate(*operand), &budget_);
  }
  return value;
}

Value Interpreter::value_of(const Sign& e) {
  const Value value = evaluate(*e.operand);
  check(value.is_number(), kWhere, "a {} has no sign", value.type_name());
  return e.negative ? computed(Operator::kSubtract, Value(int64_t{0}), value, &budget_) : value;
}

Value Interpreter::value_of(const Attribute& e) {
  return attribute_of(evaluate(*e.object), e.name);
}

Value Interpreter::value_of(const Item& e) {
  const Value object = evaluate(*e.object);
  return item_of(object, evaluate(*e.key), &budget_);
}

Value Interpreter::value_of(const Slice& e) {
  const Value object = evaluate(*e.object);
  const auto bound = [this](const ExprPtr& expr) -> std::optional<int64_t> {
    if (expr == nullptr) return std::nullopt;
    const Value value = evaluate(*expr);
    if (value.is_none()) return std::nullopt;
    check(value.is_integer(), kWhere, "a slice from or to a {}", value.type_name());
    return value.integer();
  };
  const std::optional<int64_t> begin = bound(e.begin), end = bound(e.end), step = bound(e.step);
  return sliced(object, begin, end, step, &budget_);
}

Arguments Interpreter::arguments(const CallArgs& args) {
  Arguments out;
  for (const ExprPtr& arg : args.positional) out.positional.push_back(evaluate(*arg));
  if (args.more_positional != nullptr) {
    const auto more = items_of(evaluate(*args.more_positional), &budget_);
    out.positional.insert(out.positional.end(), more->items.begin(), more->items.end());
  }
  for (const auto& [name, arg] : args.named) out.named.emplace_back(name, evaluate(*arg));
  if (args.more_named != nullptr) {
    const Value more = evaluate(*args.more_named);
    check(more.dict() != nullptr, kWhere, "** wants a mapping; got a {}", more.type_name());
    for (const auto& [key, value] : more.dict()->entries()) {
      check(key.string() != nullptr, kWhere, "** wants a mapping from names");
      out.named.emplace_back(*key.string(), value);
    }
  }
  budget_.create(static_cast<int64_t>((out.positional.size() + out.named.size()) * sizeof(Value)));
  return out;
}

Value Interpreter::value_of(const Call& e) {
  const Value callee = evaluate(*e.callee);
  Arguments args = arguments(e.args);
  return call(callee, args);
}

Value Interpreter::call(const Value& callee, Arguments& args) {
  if (const auto* undefined = callee.get<Undefined>()) {
    fail(Code::kInvalidArgument, kWhere, "\"{}\" is undefined and cannot be called",
         undefined->name != nullptr ? *undefined->name : "");
  }
  check(callee.callable() != nullptr, kWhere, "a {} cannot be called", callee.type_name());
  return callee.callable()->call(*this, args);
}

Value Interpreter::value_of(const Filter& e) {
  const Value input = e.input != nullptr ? evaluate(*e.input) : filter_input_;
  Arguments args = arguments(e.args);
  return filter(e.name, input, args);
}

Value Interpreter::value_of(const Test& e) {
  const Value input = evaluate(*e.input);
  Arguments args = arguments(e.args);
  return Value(test(e.name, input, args));
}

Value Interpreter::filter(std::string_view name, const Value& input, Arguments& args) {
  const FilterFunction function = find_filter(name);
  if (function == nullptr) {
    fail(Code::kUnimplemented, kWhere, "filter \"{}\" is not supported", name);
  }
  return function(*this, input, args);
}

bool Interpreter::test(std::string_view name, const Value& input, Arguments& args) {
  const TestFunction function = find_test(name);
  if (function == nullptr) {
    fail(Code::kUnimplemented, kWhere, "test \"{}\" is not supported", name);
  }
  return function(*this, input, args);
}

}  // namespace yiti::jinja
