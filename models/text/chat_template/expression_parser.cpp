#include "models/text/chat_template/expression_parser.h"

#include <charconv>

namespace yiti::jinja {

Token ExpressionParser::next() {
  Token token = current();
  if (token.kind != TokenKind::kEnd) ++at_;
  return token;
}

bool ExpressionParser::at_operator(std::string_view text) const {
  return current().kind == TokenKind::kOperator && current().text == text;
}

bool ExpressionParser::at_name(std::string_view text) const {
  return current().kind == TokenKind::kName && current().text == text;
}

bool ExpressionParser::take_operator(std::string_view text) {
  const bool there = at_operator(text);
  if (there) next();
  return there;
}

bool ExpressionParser::take_name(std::string_view text) {
  const bool there = at_name(text);
  if (there) next();
  return there;
}

void ExpressionParser::expect_operator(std::string_view text) {
  if (!take_operator(text)) error(fmt::format("wants \"{}\"", text));
}

void ExpressionParser::expect_name(std::string_view text) {
  if (!take_name(text)) error(fmt::format("wants \"{}\"", text));
}

void ExpressionParser::expect(TokenKind kind, std::string_view what) {
  if (current().kind != kind) error(fmt::format("wants {}", what));
  next();
}

std::string ExpressionParser::any_name() {
  if (current().kind != TokenKind::kName) error("wants a name");
  return next().text;
}

void ExpressionParser::error(std::string_view what) const {
  const bool end = current().kind == TokenKind::kEnd;
  const bool tag =
      current().kind == TokenKind::kStatementEnd || current().kind == TokenKind::kOutputEnd;
  fail(Code::kInvalidArgument, kWhere, "line {}: got {}; {}", current().line,
       end   ? "the end of the template"
       : tag ? "the end of the tag"
             : fmt::format("\"{:.40}\"", current().text),
       what);
}

ExprPtr ExpressionParser::expression(bool conditional) {
  const Nesting nesting(&depth_, kMaxExpressionDepth);
  const int line = current().line;
  ExprPtr value = logic(false);
  while (conditional && take_name("if")) {
    ExprPtr condition = logic(false);
    ExprPtr otherwise = take_name("else") ? expression() : nullptr;
    value =
        make_expr(line, Conditional{std::move(condition), std::move(value), std::move(otherwise)});
  }
  return value;
}

bool ExpressionParser::at_expression_end() const {
  return current().kind == TokenKind::kStatementEnd || current().kind == TokenKind::kOutputEnd ||
         at_operator(")");
}

ExprPtr ExpressionParser::expression_or_tuple() {
  const int line = current().line;
  ExprPtr first = expression();
  if (!at_operator(",")) return first;
  ListDisplay tuple{{}, true};
  tuple.items.push_back(std::move(first));
  while (take_operator(",") && !at_expression_end()) tuple.items.push_back(expression());
  return make_expr(line, std::move(tuple));
}

ExprPtr ExpressionParser::logic(bool is_and) {
  const auto operand = [this, is_and] { return is_and ? negation() : logic(true); };
  const std::string_view word = is_and ? "and" : "or";
  const int line = current().line;
  ExprPtr first = operand();
  if (!at_name(word)) return first;
  Logic node{is_and, {}};
  node.operands.push_back(std::move(first));
  while (take_name(word)) node.operands.push_back(operand());
  return make_expr(line, std::move(node));
}

ExprPtr ExpressionParser::negation() {
  const int line = current().line;
  if (!take_name("not")) return comparison();
  const Nesting nesting(&depth_, kMaxExpressionDepth);
  return make_expr(line, Not{negation()});
}

ExprPtr ExpressionParser::comparison() {
  static const OperatorTable kComparisons = {
      {"==", Operator::kEqual},     {"!=", Operator::kNotEqual}, {"<", Operator::kLess},
      {"<=", Operator::kLessEqual}, {">", Operator::kGreater},   {">=", Operator::kGreaterEqual},
      {"in", Operator::kIn},        {"not in", Operator::kNotIn}};
  return chain(kComparisons, &ExpressionParser::sum);
}

ExprPtr ExpressionParser::sum() {
  static const OperatorTable kSums = {{"+", Operator::kAdd}, {"-", Operator::kSubtract}};
  return chain(kSums, &ExpressionParser::concatenation);
}

ExprPtr ExpressionParser::concatenation() {
  static const OperatorTable kConcatenations = {{"~", Operator::kConcatenate}};
  return chain(kConcatenations, &ExpressionParser::product);
}

ExprPtr ExpressionParser::product() {
  static const OperatorTable kProducts = {{"*", Operator::kMultiply},
                                          {"/", Operator::kDivide},
                                          {"//", Operator::kFloorDivide},
                                          {"%", Operator::kModulo}};
  return chain(kProducts, &ExpressionParser::power);
}

ExprPtr ExpressionParser::power() {
  static const OperatorTable kPowers = {{"**", Operator::kPower}};
  const int line = current().line;
  OperatorChain node{unary(true), {}};
  while (take_operator("**")) node.rest.emplace_back(Operator::kPower, unary(true));
  return node.rest.empty() ? std::move(node.first) : make_expr(line, std::move(node));
}

ExprPtr ExpressionParser::chain(const OperatorTable& operators, Parser operand) {
  const int line = current().line;
  OperatorChain node{(this->*operand)(), {}};
  for (bool more = true; more;) {
    more = false;
    for (const auto& [text, op] : operators) {
      const bool negated = text == "not in" && at_name("not") && ahead().text == "in" &&
                           ahead().kind == TokenKind::kName;
      if (negated) next();
      if (!negated && !at_operator(text) && !(text == "in" && at_name("in"))) continue;
      next();
      node.rest.emplace_back(op, (this->*operand)());
      more = true;
      break;
    }
  }
  return node.rest.empty() ? std::move(node.first) : make_expr(line, std::move(node));
}

ExprPtr ExpressionParser::unary(bool with_filters) {
  const int line = current().line;
  ExprPtr node;
  if (at_operator("-") || at_operator("+")) {
    const Nesting nesting(&depth_, kMaxExpressionDepth);
    const bool negative = next().text == "-";
    node = make_expr(line, Sign{negative, unary(false)});
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filters ? filters_tests_and_calls(std::move(node)) : std::move(node);
}

ExprPtr ExpressionParser::postfix(ExprPtr object) {
  for (;;) {
    const int line = current().line;
    if (at_operator(".") || at_operator("[")) {
      object = subscript(std::move(object));
    } else if (at_operator("(")) {
      CallArgs args = call_args();
      object = make_expr(line, Call{std::move(object), std::move(args)});
    } else {
      return object;
    }
  }
}

ExprPtr ExpressionParser::filters_tests_and_calls(ExprPtr node) {
  for (;;) {
    const int line = current().line;
    if (at_operator("|")) {
      node = filters(std::move(node));
    } else if (take_name("is")) {
      node = test(std::move(node));
    } else if (at_operator("(")) {
      CallArgs args = call_args();
      node = make_expr(line, Call{std::move(node), std::move(args)});
    } else {
      return node;
    }
  }
}

ExprPtr ExpressionParser::filters(ExprPtr input, bool inline_first) {
  while (inline_first || take_operator("|")) {
    inline_first = false;
    const int line = current().line;
    std::string name = any_name();
    CallArgs args = at_operator("(") ? call_args() : CallArgs{};
    input = make_expr(line, Filter{std::move(input), std::move(name), std::move(args)});
  }
  return input;
}

ExprPtr ExpressionParser::test(ExprPtr input) {
  const int line = current().line;
  const bool negated = take_name("not");
  Test node{std::move(input), any_name(), {}};
  const bool literal = current().kind == TokenKind::kString ||
                       current().kind == TokenKind::kInteger ||
                       current().kind == TokenKind::kFloat || at_operator("[") || at_operator("{");
  const bool name = current().kind == TokenKind::kName && !at_name("else") && !at_name("or") &&
                    !at_name("and") && !at_name("is");
  if (at_operator("(")) {
    node.args = call_args();
  } else if (literal || name) {
    node.args.positional.push_back(postfix(primary()));
  } else if (at_name("is")) {
    error("tests cannot follow each other with \"is\"");
  }
  ExprPtr result = make_expr(line, std::move(node));
  return negated ? make_expr(line, Not{std::move(result)}) : std::move(result);
}

ExprPtr ExpressionParser::subscript(ExprPtr object) {
  const int line = current().line;
  if (next().text == ".") {
    if (current().kind == TokenKind::kInteger) {
      return make_expr(line, Item{std::move(object), number_literal()});
    }
    return make_expr(line, Attribute{std::move(object), any_name()});
  }
  const auto bound = [this]() -> ExprPtr {
    return at_operator(":") || at_operator("]") ? nullptr : expression();
  };
  ExprPtr begin = bound();
  if (!at_operator(":")) {
    if (begin == nullptr) error("wants an index");
    expect_operator("]");
    return make_expr(line, Item{std::move(object), std::move(begin)});
  }
  next();
  ExprPtr end = bound();
  ExprPtr step = take_operator(":") ? bound() : nullptr;
  expect_operator("]");
  return make_expr(line,
                   Slice{std::move(object), std::move(begin), std::move(end), std::move(step)});
}

CallArgs ExpressionParser::call_args() {
  CallArgs args;
  expect_operator("(");
  while (!take_operator(")")) {
    if (take_operator("*")) {
      if (args.more_positional != nullptr) error("a second \"*\" in a call");
      args.more_positional = expression();
    } else if (take_operator("**")) {
      if (args.more_named != nullptr) error("a second \"**\" in a call");
      args.more_named = expression();
    } else if (current().kind == TokenKind::kName && ahead().kind == TokenKind::kOperator &&
               ahead().text == "=") {
      std::string name = next().text;
      next();
      args.named.emplace_back(std::move(name), expression());
    } else {
      if (!args.named.empty()) error("an argument without a name after one with a name");
      args.positional.push_back(expression());
    }
    if (!at_operator(")")) expect_operator(",");
  }
  return args;
}

ExprPtr ExpressionParser::primary() {
  const int line = current().line;
  if (at_operator("(")) return parenthesised();
  if (at_operator("[")) return list_display();
  if (at_operator("{")) return dict_display();
  switch (current().kind) {
    case TokenKind::kInteger:
    case TokenKind::kFloat: return number_literal();
    case TokenKind::kString: {
      std::string text;
      while (current().kind == TokenKind::kString) text += next().text;
      return make_expr(line, Literal{Value(std::move(text))});
    }
    case TokenKind::kName: return name_or_constant(line, next().text);
    default: error("wants an expression");
  }
}

ExprPtr ExpressionParser::name_or_constant(int line, const std::string& name) {
  if (name == "true" || name == "True") return make_expr(line, Literal{Value(true)});
  if (name == "false" || name == "False") return make_expr(line, Literal{Value(false)});
  if (name == "none" || name == "None") return make_expr(line, Literal{Value(None{})});
  uses_.varargs |= name == "varargs";
  uses_.kwargs |= name == "kwargs";
  uses_.caller |= name == "caller";
  return make_expr(line, Name{name});
}

ExprPtr ExpressionParser::number_literal() {
  const Token token = next();
  const char* end = token.text.data() + token.text.size();
  if (token.kind == TokenKind::kInteger) {
    int64_t value = 0;
    const auto [stop, status] = std::from_chars(token.text.data(), end, value);
    if (status != std::errc() || stop != end) error("integers have at most 64 bits");
    return make_expr(token.line, Literal{Value(value)});
  }
  double value = 0;
  std::from_chars(token.text.data(), end, value);
  return make_expr(token.line, Literal{Value(value)});
}

ExprPtr ExpressionParser::parenthesised() {
  const Nesting nesting(&depth_, kMaxExpressionDepth);
  const int line = current().line;
  next();
  if (take_operator(")")) return make_expr(line, ListDisplay{{}, true});
  ExprPtr inner = expression_or_tuple();
  expect_operator(")");
  return inner;
}

ExprPtr ExpressionParser::list_display() {
  const int line = current().line;
  ListDisplay list{{}, false};
  next();
  while (!take_operator("]")) {
    list.items.push_back(expression());
    if (!at_operator("]")) expect_operator(",");
  }
  return make_expr(line, std::move(list));
}

ExprPtr ExpressionParser::dict_display() {
  const int line = current().line;
  DictDisplay dict;
  next();
  while (!take_operator("}")) {
    ExprPtr key = expression();
    expect_operator(":");
    dict.entries.emplace_back(std::move(key), expression());
    if (!at_operator("}")) expect_operator(",");
  }
  return make_expr(line, std::move(dict));
}

}  // namespace yiti::jinja
