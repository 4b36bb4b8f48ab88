#include "inference/grammar/grammar.h"

#include <unordered_set>

#include "core/error.h"

namespace yiti {
namespace {

constexpr const char* kWhere = "grammar";
constexpr size_t kMaxExpressions = 1 << 16;
constexpr size_t kMaxNodes = 1 << 16;
constexpr size_t kMaxRules = 1024;
constexpr int64_t kMaxSteps = 1 << 18;

}  // namespace

GrammarBuilder::Id GrammarBuilder::add(Expression expression) {
  if (expressions_.size() >= kMaxExpressions) {
    fail(Code::kResourceExhausted, kWhere, "it has more than {} parts", kMaxExpressions);
  }
  expressions_.push_back(std::move(expression));
  return static_cast<Id>(expressions_.size()) - 1;
}

GrammarBuilder::Id GrammarBuilder::literal(std::string_view bytes) {
  return add({.kind = Kind::kLiteral, .bytes = std::string(bytes)});
}

GrammarBuilder::Id GrammarBuilder::characters(std::vector<CodeRange> set) {
  return add({.kind = Kind::kCharacters, .set = std::move(set)});
}

GrammarBuilder::Id GrammarBuilder::sequence(std::vector<Id> parts) {
  return add({.kind = Kind::kSequence, .parts = std::move(parts)});
}

GrammarBuilder::Id GrammarBuilder::choice(std::vector<Id> parts) {
  return add({.kind = Kind::kChoice, .parts = std::move(parts)});
}

GrammarBuilder::Id GrammarBuilder::repeat(Id part, int64_t least, int64_t most) {
  check(least >= 0 && (most == kAnyNumber || most >= least), kWhere,
        "a part is repeated {} to {} times", least, most);
  return add({.kind = Kind::kRepeat, .parts = {part}, .least = least, .most = most});
}

int32_t GrammarBuilder::rule_index(std::string_view name) const {
  const auto found = names_.find(std::string(name));
  return found == names_.end() ? -1 : found->second;
}

GrammarBuilder::Id GrammarBuilder::rule(std::string_view name) {
  int32_t index = rule_index(name);
  if (index < 0) {
    if (rules_.size() >= kMaxRules) {
      fail(Code::kResourceExhausted, kWhere, "it has more than {} rules", kMaxRules);
    }
    index = static_cast<int32_t>(rules_.size());
    rules_.push_back({.name = std::string(name)});
    names_.emplace(name, index);
  }
  return add({.kind = Kind::kRule, .rule = index});
}

bool GrammarBuilder::is_defined(std::string_view name) const {
  const int32_t index = rule_index(name);
  return index >= 0 && rules_[static_cast<size_t>(index)].definition >= 0;
}

void GrammarBuilder::define(std::string_view name, Id expression) {
  check(!is_defined(name), kWhere, "rule '{}' is defined twice", name);
  const int32_t index = expressions_[static_cast<size_t>(rule(name))].rule;
  rules_[static_cast<size_t>(index)].definition = expression;
}

int32_t GrammarBuilder::add_node(Grammar::Node node) {
  if (grammar_.nodes_.size() >= kMaxNodes) {
    fail(Code::kResourceExhausted, kWhere, "it is larger than {} nodes", kMaxNodes);
  }
  grammar_.nodes_.push_back(std::move(node));
  return static_cast<int32_t>(grammar_.nodes_.size()) - 1;
}

// The node where the expression begins, which goes on at `next` behind it.
int32_t GrammarBuilder::compile(Id id, int32_t next) {
  // Repeated parts without a byte make no nodes, but take time.
  if (++steps_ > kMaxSteps) {
    fail(Code::kResourceExhausted, kWhere, "it repeats its parts more than {} times", kMaxSteps);
  }
  const Expression& expression = expressions_[static_cast<size_t>(id)];
  switch (expression.kind) {
    case Kind::kLiteral: {
      for (size_t i = expression.bytes.size(); i-- > 0;) {
        const auto byte = static_cast<uint8_t>(expression.bytes[i]);
        next = add_node({.edges = {{.bytes = {byte, byte}, .to = next}}});
      }
      return next;
    }
    case Kind::kCharacters: return compile_characters(expression.set, next);
    case Kind::kSequence: {
      for (size_t i = expression.parts.size(); i-- > 0;) next = compile(expression.parts[i], next);
      return next;
    }
    case Kind::kChoice: {
      std::vector<int32_t> ways;
      for (const Id part : expression.parts) ways.push_back(compile(part, next));
      return add_node({.empty = std::move(ways)});
    }
    case Kind::kRepeat: return compile_repeat(expression, next);
    case Kind::kRule: return add_node({.call = expression.rule, .back = next});
  }
  return next;
}

int32_t GrammarBuilder::compile_characters(const std::vector<CodeRange>& set, int32_t next) {
  Grammar::Node first;
  for (const CodeRange& range : set) {
    for (const std::vector<ByteRange>& sequence : utf8_sequences(range)) {
      int32_t to = next;
      for (size_t i = sequence.size(); i-- > 1;) {
        to = add_node({.edges = {{.bytes = sequence[i], .to = to}}});
      }
      first.edges.push_back({.bytes = sequence[0], .to = to});
    }
  }
  return add_node(std::move(first));
}

int32_t GrammarBuilder::compile_repeat(const Expression& expression, int32_t next) {
  const Id part = expression.parts[0];
  int32_t first = next;
  if (expression.most == kAnyNumber) {
    first = add_node({});
    const int32_t again = compile(part, first);
    grammar_.nodes_[static_cast<size_t>(first)].empty = {again, next};
  }
  for (int64_t i = expression.least; i < expression.most; ++i) {
    first = add_node({.empty = {compile(part, first), next}});
  }
  for (int64_t i = 0; i < expression.least; ++i) first = compile(part, first);
  return first;
}

Grammar GrammarBuilder::build(std::string_view root) {
  check(is_defined(root), kWhere, "rule '{}' is not defined", root);
  grammar_.nodes_.assign(1, {});
  for (Rule& rule : rules_) {
    check(rule.definition >= 0, kWhere, "rule '{}' is not defined", rule.name);
    rule.first = compile(rule.definition, Grammar::kEnd);
  }
  refuse_left_recursion();
  for (Grammar::Node& node : grammar_.nodes_) {
    if (node.call >= 0) node.call = rules_[static_cast<size_t>(node.call)].first;
  }
  grammar_.start_ = rules_[static_cast<size_t>(rule_index(root))].first;
  return std::move(grammar_);
}

// What a rule does before it reads a byte: the calls that it begins with, and whether it may end.
bool GrammarBuilder::explore(const Rule& rule, const std::vector<uint8_t>& nullable,
                             std::vector<int32_t>& begun) const {
  begun.clear();
  bool ends = false;
  std::unordered_set<int32_t> seen = {rule.first};
  std::vector<int32_t> open = {rule.first};
  const auto go = [&](int32_t to) {
    if (seen.insert(to).second) open.push_back(to);
  };
  while (!open.empty()) {
    const Grammar::Node& node = grammar_.node(open.back());
    ends = ends || open.back() == Grammar::kEnd;
    open.pop_back();
    for (const int32_t to : node.empty) go(to);
    if (node.call < 0) continue;
    begun.push_back(node.call);
    if (nullable[static_cast<size_t>(node.call)] != 0) go(node.back);
  }
  return ends;
}

// A rule that begins with itself would be entered without end. Here calls are still numbers of
// rules.
void GrammarBuilder::refuse_left_recursion() const {
  std::vector<uint8_t> nullable(rules_.size());
  std::vector<std::vector<int32_t>> begun(rules_.size());
  for (bool grown = true; grown;) {
    grown = false;
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (nullable[i] != 0 || !explore(rules_[i], nullable, begun[i])) continue;
      nullable[i] = 1;
      grown = true;
    }
  }
  for (size_t i = 0; i < rules_.size(); ++i) explore(rules_[i], nullable, begun[i]);
  // Take away rules that begin with none that is left, until there is no such rule.
  std::vector<size_t> waits(rules_.size());
  std::vector<std::vector<size_t>> callers(rules_.size());
  std::vector<size_t> done;
  for (size_t i = 0; i < rules_.size(); ++i) {
    waits[i] = begun[i].size();
    for (const int32_t other : begun[i]) callers[static_cast<size_t>(other)].push_back(i);
    if (waits[i] == 0) done.push_back(i);
  }
  for (size_t i = 0; i < done.size(); ++i) {
    for (const size_t caller : callers[done[i]]) {
      if (--waits[caller] == 0) done.push_back(caller);
    }
  }
  for (size_t i = 0; i < rules_.size(); ++i) {
    check(waits[i] == 0, kWhere, "rule '{}' begins with itself", rules_[i].name);
  }
}

}  // namespace yiti
