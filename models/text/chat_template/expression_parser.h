// Parses expressions; the statement parser builds on it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/text/chat_template/ast.h"
#include "models/text/chat_template/lexer.h"

namespace yiti::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  /// An expression; with `conditional` false "x if y else z" is not one.
  ExprPtr expression(bool conditional = true);
  /// An expression, or several with commas between them: a tuple.
  ExprPtr expression_or_tuple();
  CallArgs call_args();
  /// |name(…)|name… applied to `input`; `inline_first`: the first has no bar.
  ExprPtr filters(ExprPtr input, bool inline_first = false);
  ExprPtr postfix(ExprPtr object);
  ExprPtr primary();

 protected:
  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token next();
  bool at_operator(std::string_view text) const;
  bool at_name(std::string_view text) const;
  bool take_operator(std::string_view text);
  bool take_name(std::string_view text);
  void expect_operator(std::string_view text);
  void expect_name(std::string_view text);
  void expect(TokenKind kind, std::string_view what);
  std::string any_name();
  [[noreturn]] void error(std::string_view what) const;

  MacroUses uses_;  ///< the names seen since the last reset

 private:
  using Parser = ExprPtr (ExpressionParser::*)();
  using OperatorTable = std::vector<std::pair<std::string_view, Operator>>;

  ExprPtr logic(bool is_and);
  ExprPtr negation();
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concatenation();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary(bool with_filters);
  ExprPtr filters_tests_and_calls(ExprPtr node);
  ExprPtr test(ExprPtr input);
  ExprPtr subscript(ExprPtr object);
  ExprPtr parenthesised();
  ExprPtr list_display();
  ExprPtr dict_display();
  ExprPtr name_or_constant(int line, const std::string& name);
  ExprPtr number_literal();
  ExprPtr chain(const OperatorTable& operators, Parser operand);
  bool at_expression_end() const;

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace yiti::jinja
