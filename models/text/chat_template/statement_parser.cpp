#include <algorithm>

#include "models/text/chat_template/ast.h"
#include "models/text/chat_template/expression_parser.h"

namespace yiti::jinja {
namespace {

using Names = std::initializer_list<std::string_view>;

class StatementParser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Body whole() {
    Body body = statements({});
    if (current().kind != TokenKind::kEnd) error("closes nothing");
    return body;
  }

 private:
  // Up to a {% that one of `ends` follows; that name is then current.
  Body statements(Names ends) {
    const Nesting nesting(&depth_, kMaxStatementDepth);
    Body body;
    while (current().kind != TokenKind::kEnd) {
      const int line = current().line;
      if (current().kind == TokenKind::kText) {
        body.push_back({line, Text{next().text}});
      } else if (current().kind == TokenKind::kOutputBegin) {
        next();
        body.push_back({line, Output{expression_or_tuple()}});
        expect(TokenKind::kOutputEnd, "\"}}\"");
      } else {
        next();
        if (std::any_of(ends.begin(), ends.end(),
                        [this](std::string_view name) { return at_name(name); })) {
          return body;
        }
        body.push_back(statement());
        expect(TokenKind::kStatementEnd, "\"%}\"");
      }
    }
    if (ends.size() > 0) error(fmt::format("wants \"{}\"", *std::prev(ends.end())));
    return body;
  }

  // After the head of a statement: its body and the closing name.
  Body body_until(std::string_view end) {
    Body body = body_before({end});
    next();
    return body;
  }
  Body body_before(Names ends) {
    take_operator(":");
    expect(TokenKind::kStatementEnd, "\"%}\"");
    return statements(ends);
  }

  Statement statement() {
    struct Entry {
      std::string_view name;
      Statement (StatementParser::*parse)(int line);
    };
    static constexpr Entry kStatements[] = {
        {"if", &StatementParser::if_statement},
        {"for", &StatementParser::for_statement},
        {"set", &StatementParser::set_statement},
        {"macro", &StatementParser::macro_statement},
        {"call", &StatementParser::call_statement},
        {"filter", &StatementParser::filter_statement},
        {"with", &StatementParser::with_statement},
        {"generation", &StatementParser::generation_statement},
    };
    const int line = current().line;
    const std::string name = any_name();
    for (const Entry& entry : kStatements) {
      if (entry.name == name) return (this->*entry.parse)(line);
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) error(fmt::format("\"{}\" outside of a loop", name));
      return name == "break" ? Statement{line, Break{}} : Statement{line, Continue{}};
    }
    for (const std::string_view other :
         {"include", "import", "from", "extends", "block", "autoescape", "print", "do"}) {
      if (name == other) {
        fail(Code::kUnimplemented, kWhere, "line {}: \"{}\" is not supported", line, name);
      }
    }
    fail(Code::kInvalidArgument, kWhere, "line {}: \"{}\" is no statement", line, name);
  }

  Statement if_statement(int line) {
    If node;
    do {
      ExprPtr condition = expression(false);
      node.branches.emplace_back(std::move(condition), body_before({"elif", "else", "endif"}));
    } while (take_name("elif"));
    if (take_name("else")) {
      node.otherwise = body_until("endif");
    } else {
      expect_name("endif");
    }
    return {line, std::move(node)};
  }

  Statement for_statement(int line) {
    For node;
    node.target = target();
    expect_name("in");
    node.items = for_items();
    if (take_name("if")) node.condition = expression();
    if (at_name("recursive")) {
      fail(Code::kUnimplemented, kWhere, "line {}: recursive loops are not supported", line);
    }
    ++loops_;
    node.body = body_before({"else", "endfor"});
    --loops_;
    if (take_name("else")) {
      node.otherwise = body_until("endfor");
    } else {
      expect_name("endfor");
    }
    return {line, std::move(node)};
  }

  // Here "if" begins the loop's filter, not a conditional.
  ExprPtr for_items() {
    const int line = current().line;
    ExprPtr first = expression(false);
    if (!at_operator(",")) return first;
    ListDisplay tuple{{}, true};
    tuple.items.push_back(std::move(first));
    while (take_operator(",")) tuple.items.push_back(expression(false));
    return make_expr(line, std::move(tuple));
  }

  Statement set_statement(int line) {
    Target to = target();
    if (take_operator("=")) return {line, Set{std::move(to), expression_or_tuple()}};
    if (!to.parts.empty()) error("wants \"=\"");
    SetBlock node{std::move(to), filters(nullptr), {}};
    node.body = body_until("endset");
    return {line, std::move(node)};
  }

  Statement filter_statement(int line) {
    FilterBlock node{filters(nullptr, true), {}};
    node.body = body_until("endfilter");
    return {line, std::move(node)};
  }

  Statement with_statement(int line) {
    With node;
    while (current().kind != TokenKind::kStatementEnd) {
      if (!node.values.empty()) expect_operator(",");
      Target to = target_part();
      expect_operator("=");
      node.values.emplace_back(std::move(to), expression());
    }
    node.body = body_until("endwith");
    return {line, std::move(node)};
  }

  Statement generation_statement(int line) {
    return {line, Generation{body_outside_loops("endgeneration")}};
  }

  Statement macro_statement(int line) {
    auto node = std::make_unique<Macro>();
    node->name = any_name();
    finish_macro("endmacro", node.get());
    return {line, std::move(node)};
  }

  Statement call_statement(int line) {
    auto node = std::make_unique<CallBlock>();
    node->caller.name = "caller";
    if (at_operator("(")) node->caller.parameters = parameters();
    node->call = expression();
    if (!std::holds_alternative<Call>(node->call->node)) error("wants a call");
    finish_macro("endcall", &node->caller);
    return {line, std::move(node)};
  }

  void finish_macro(std::string_view end, Macro* macro) {
    if (at_operator("(")) macro->parameters = parameters();
    const MacroUses outer = std::exchange(uses_, {});
    macro->body = body_outside_loops(end);
    macro->uses = std::exchange(uses_, outer);
  }

  // The body of something that is called: break cannot leave it.
  Body body_outside_loops(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    Body body = body_until(end);
    loops_ = loops;
    return body;
  }

  std::vector<Parameter> parameters() {
    std::vector<Parameter> out;
    expect_operator("(");
    while (!take_operator(")")) {
      Parameter parameter{any_name(), nullptr};
      if (take_operator("=")) {
        parameter.otherwise = expression();
      } else if (!out.empty() && out.back().otherwise != nullptr) {
        error("wants a default, as the parameter before has one");
      }
      out.push_back(std::move(parameter));
      if (!at_operator(")")) expect_operator(",");
    }
    return out;
  }

  // name, name.attribute or several of them with commas between them.
  Target target() {
    Target first = target_part();
    if (!at_operator(",")) return first;
    Target tuple;
    tuple.parts.push_back(std::move(first));
    while (take_operator(",") && current().kind != TokenKind::kStatementEnd && !at_name("in") &&
           !at_operator("=") && !at_operator(")")) {
      tuple.parts.push_back(target_part());
    }
    return tuple;
  }

  Target target_part() {
    const Nesting nesting(&depth_, kMaxStatementDepth);
    if (take_operator("(")) {
      Target inner = target();
      expect_operator(")");
      return inner;
    }
    Target one;
    one.name = any_name();
    if (take_operator(".")) one.attribute = any_name();
    return one;
  }

  int depth_ = 0;
  int loops_ = 0;
};

}  // namespace

Body parse(std::string_view source) { return StatementParser(tokenize(source)).whole(); }

}  // namespace yiti::jinja
