// Runs a parsed template.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/text/chat_template/ast.h"
#include "models/text/chat_template/budget.h"
#include "models/text/chat_template/value.h"

namespace yiti::jinja {

/// Names and values; the inner scope's hide the outer's.
class Scope {
 public:
  explicit Scope(std::shared_ptr<Scope> parent) : parent_(std::move(parent)) {}
  void set(std::string_view name, Value value);
  /// Null where neither this scope nor one around it has the name.
  const Value* find(std::string_view name) const;

 private:
  std::shared_ptr<Scope> parent_;
  std::vector<std::pair<std::string, Value>> values_;
};

struct Rendering {
  std::string text;
  /// Bytes [begin, end) that generation blocks wrote.
  std::vector<std::pair<int64_t, int64_t>> generations;
};

/// Renders one template once. One thread.
class Interpreter {
 public:
  /// `now_unix_s`: what strftime_now takes as now.
  explicit Interpreter(int64_t now_unix_s);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  void set_variable(std::string_view name, Value value);
  /// Throws kInvalidArgument, with the line, for what the template does wrong or raises, and
  /// kResourceExhausted where it exceeds a bound.
  Rendering run(const Body& body);

  Value call(const Value& callee, Arguments& args);
  Value filter(std::string_view name, const Value& input, Arguments& args);
  bool test(std::string_view name, const Value& input, Arguments& args);
  Value make_namespace(Namespace fields);

  Budget* budget() { return &budget_; }
  int64_t now_unix_s() const { return now_unix_s_; }

 private:
  enum class Flow { kNormal, kBreak, kContinue };

  Flow execute(const Body& body);
  Flow run_statement(const Text& s);
  Flow run_statement(const Output& s);
  Flow run_statement(const If& s);
  Flow run_statement(const For& s);
  Flow run_statement(const Set& s);
  Flow run_statement(const SetBlock& s);
  Flow run_statement(const FilterBlock& s);
  Flow run_statement(const With& s);
  Flow run_statement(const std::unique_ptr<Macro>& s);
  Flow run_statement(const std::unique_ptr<CallBlock>& s);
  Flow run_statement(const Generation& s);
  Flow run_statement(const Break&) { return Flow::kBreak; }
  Flow run_statement(const Continue&) { return Flow::kContinue; }

  Value evaluate(const Expr& expr);
  Value value_of(const Literal& e) { return e.value; }
  Value value_of(const Name& e);
  Value value_of(const ListDisplay& e);
  Value value_of(const DictDisplay& e);
  Value value_of(const Conditional& e);
  Value value_of(const Logic& e);
  Value value_of(const Not& e) { return Value(!evaluate(*e.operand).truth()); }
  Value value_of(const OperatorChain& e);
  Value value_of(const Sign& e);
  Value value_of(const Attribute& e);
  Value value_of(const Item& e);
  Value value_of(const Slice& e);
  Value value_of(const Call& e);
  Value value_of(const Filter& e);
  Value value_of(const Test& e);

  Arguments arguments(const CallArgs& args);
  Value compare(const OperatorChain& e);
  Value concatenate(const OperatorChain& e);
  Value macro_value(const Macro& macro);
  Value call_macro(const Macro& macro, std::shared_ptr<Scope> scope, Arguments& args);
  void bind_parameters(const Macro& macro, Arguments& args);
  void assign(const Target& target, const Value& value);
  Value filtered(const ExprPtr& filter, std::string text);
  /// What `body` writes, run in a scope of its own.
  std::string captured(const Body& body, std::shared_ptr<Scope> parent);
  void write(std::string_view text);

  Budget budget_;
  int64_t now_unix_s_;
  int depth_ = 0;
  int line_ = 0;
  std::shared_ptr<Scope> scope_;
  std::string* out_ = nullptr;
  Rendering rendering_;
  Value filter_input_;  ///< what the innermost filter of a block takes
  std::vector<std::shared_ptr<Namespace>> namespaces_;  ///< emptied at the end: they may be cyclic
};

/// Gives its object's attribute (object.name) or item (object[key]); undefined where there is none.
/// Throws for those of undefined.
Value attribute_of(const Value& object, std::string_view name);
Value item_of(const Value& object, const Value& key, Budget* budget);

/// The functions that every template sees: range, namespace, dict, raise_exception, strftime_now.
const std::vector<std::pair<std::string, Value>>& global_functions();

}  // namespace yiti::jinja
