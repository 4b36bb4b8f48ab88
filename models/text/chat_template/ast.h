// A parsed template. Chains of operators are flat, so depth is only what the source nests.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "models/text/chat_template/value.h"

namespace yiti::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

/// A call's arguments as written.
struct CallArgs {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr more_positional, more_named;  ///< *x and **x, or null
};

struct Literal {
  Value value;
};
struct Name {
  std::string name;
};
struct ListDisplay {
  std::vector<ExprPtr> items;
  bool tuple;
};
struct DictDisplay {
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};
/// yes if condition else no
struct Conditional {
  ExprPtr condition, yes, no;  ///< `no` may be null: undefined
};
/// a and b and c; a or b or c
struct Logic {
  bool is_and;
  std::vector<ExprPtr> operands;
};
struct Not {
  ExprPtr operand;
};

enum class Operator {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kConcatenate,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};
/// first op operand op operand …, of one precedence, from left to right; for comparisons a chain
/// as in Python.
struct OperatorChain {
  ExprPtr first;
  std::vector<std::pair<Operator, ExprPtr>> rest;
};
struct Sign {
  bool negative;
  ExprPtr operand;
};
struct Attribute {
  ExprPtr object;
  std::string name;
};
struct Item {
  ExprPtr object, key;
};
struct Slice {
  ExprPtr object, begin, end, step;  ///< each but `object` may be null
};
struct Call {
  ExprPtr callee;
  CallArgs args;
};
struct Filter {
  ExprPtr input;  ///< null: the text of a filter block
  std::string name;
  CallArgs args;
};
struct Test {
  ExprPtr input;
  std::string name;
  CallArgs args;
};

using ExprNode = std::variant<Literal, Name, ListDisplay, DictDisplay, Conditional, Logic, Not,
                              OperatorChain, Sign, Attribute, Item, Slice, Call, Filter, Test>;

struct Expr {
  int line;
  int height;  ///< 1 more than the highest operand
  ExprNode node;
};

/// Throws kInvalidArgument where expressions are nested deeper than kMaxExpressionDepth.
ExprPtr make_expr(int line, ExprNode node);

struct Statement;
using Body = std::vector<Statement>;

/// What for and set assign to: a name, a namespace's attribute, or a tuple of targets.
struct Target {
  std::string name;
  std::string attribute;
  std::vector<Target> parts;
};

struct Parameter {
  std::string name;
  ExprPtr otherwise;  ///< null: none
};

struct Text {
  std::string text;
};
struct Output {
  ExprPtr value;
};
struct If {
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct For {
  Target target;
  ExprPtr items;
  ExprPtr condition;  ///< null: none
  Body body, otherwise;
};
struct Set {
  Target target;
  ExprPtr value;
};
/// {% set x %}…{% endset %}, maybe through filters.
struct SetBlock {
  Target target;
  ExprPtr filter;  ///< a chain of Filter whose innermost input is null, or null
  Body body;
};
struct FilterBlock {
  ExprPtr filter;
  Body body;
};
struct With {
  std::vector<std::pair<Target, ExprPtr>> values;
  Body body;
};
/// What a macro's body reads without having declared it: then more arguments are allowed.
struct MacroUses {
  bool varargs = false, kwargs = false, caller = false;
};
struct Macro {
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
  MacroUses uses;
};
struct CallBlock {
  Macro caller;
  ExprPtr call;
};
struct Generation {
  Body body;
};
struct Break {};
struct Continue {};

struct Statement {
  int line;
  std::variant<Text, Output, If, For, Set, SetBlock, FilterBlock, With, std::unique_ptr<Macro>,
               std::unique_ptr<CallBlock>, Generation, Break, Continue>
      node;
};

/// Throws kInvalidArgument, with the line, for what is no template; kUnimplemented for statements
/// that chat templates do not use (include, import, extends, block).
Body parse(std::string_view source);

}  // namespace yiti::jinja
