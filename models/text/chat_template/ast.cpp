#include "models/text/chat_template/ast.h"

#include <algorithm>

namespace yiti::jinja {
namespace {

// The height of the highest operand of a node.
struct OperandHeight {
  static int of(const ExprPtr& expr) { return expr == nullptr ? 0 : expr->height; }
  static int of(const std::vector<ExprPtr>& exprs) {
    int height = 0;
    for (const ExprPtr& expr : exprs) height = std::max(height, of(expr));
    return height;
  }
  static int of(const CallArgs& args) {
    int height = std::max({of(args.positional), of(args.more_positional), of(args.more_named)});
    for (const auto& [name, value] : args.named) height = std::max(height, of(value));
    return height;
  }

  int operator()(const Literal&) const { return 0; }
  int operator()(const Name&) const { return 0; }
  int operator()(const ListDisplay& e) const { return of(e.items); }
  int operator()(const DictDisplay& e) const {
    int height = 0;
    for (const auto& [key, value] : e.entries) height = std::max({height, of(key), of(value)});
    return height;
  }
  int operator()(const Conditional& e) const {
    return std::max({of(e.condition), of(e.yes), of(e.no)});
  }
  int operator()(const Logic& e) const { return of(e.operands); }
  int operator()(const Not& e) const { return of(e.operand); }
  int operator()(const OperatorChain& e) const {
    int height = of(e.first);
    for (const auto& [op, operand] : e.rest) height = std::max(height, of(operand));
    return height;
  }
  int operator()(const Sign& e) const { return of(e.operand); }
  int operator()(const Attribute& e) const { return of(e.object); }
  int operator()(const Item& e) const { return std::max(of(e.object), of(e.key)); }
  int operator()(const Slice& e) const {
    return std::max({of(e.object), of(e.begin), of(e.end), of(e.step)});
  }
  int operator()(const Call& e) const { return std::max(of(e.callee), of(e.args)); }
  int operator()(const Filter& e) const { return std::max(of(e.input), of(e.args)); }
  int operator()(const Test& e) const { return std::max(of(e.input), of(e.args)); }
};

}  // namespace

ExprPtr make_expr(int line, ExprNode node) {
  const int height = 1 + std::visit(OperandHeight{}, node);
  check(height <= kMaxExpressionDepth, kWhere, "line {}: expressions nested deeper than {}", line,
        kMaxExpressionDepth);
  return std::make_unique<Expr>(Expr{line, height, std::move(node)});
}

}  // namespace yiti::jinja
