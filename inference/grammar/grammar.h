// Context-free grammars over bytes, and their making.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "inference/grammar/utf8_ranges.h"

namespace yiti {

/// A grammar as a graph: paths from the start to the end spell its texts. Immutable.
class Grammar {
 public:
  struct Edge {
    ByteRange bytes;
    int32_t to = 0;
  };
  /// Goes on by a byte, by nothing, or through another rule and then to `back`.
  struct Node {
    std::vector<Edge> edges = {};
    std::vector<int32_t> empty = {};
    int32_t call = -1;  ///< the rule's first node; -1: none
    int32_t back = -1;
  };
  /// The end of every rule.
  static constexpr int32_t kEnd = 0;

  const Node& node(int32_t id) const { return nodes_[static_cast<size_t>(id)]; }
  int32_t start() const { return start_; }
  size_t size() const { return nodes_.size(); }

 private:
  friend class GrammarBuilder;
  std::vector<Node> nodes_;
  int32_t start_ = kEnd;
};

/// Puts a grammar together from expressions, which may be used in several places. Methods throw
/// kResourceExhausted beyond what a grammar may hold.
class GrammarBuilder {
 public:
  /// An expression of this builder.
  using Id = int32_t;
  static constexpr int64_t kAnyNumber = -1;

  Id literal(std::string_view bytes);
  /// One character of the set.
  Id characters(std::vector<CodeRange> set);
  Id sequence(std::vector<Id> parts);
  Id choice(std::vector<Id> parts);
  /// `least` to `most` times; kAnyNumber: without bound.
  Id repeat(Id part, int64_t least, int64_t most);
  Id optional(Id part) { return repeat(part, 0, 1); }
  /// The rule of this name, which may be defined later.
  Id rule(std::string_view name);
  bool is_defined(std::string_view name) const;
  /// Throws kInvalidArgument for a name that has a definition.
  void define(std::string_view name, Id expression);

  /// The grammar of the texts of `root`. Throws kInvalidArgument for rules that are not defined or
  /// that begin with themselves.
  Grammar build(std::string_view root);

 private:
  enum class Kind : uint8_t { kLiteral, kCharacters, kSequence, kChoice, kRepeat, kRule };
  struct Expression {
    Kind kind = Kind::kSequence;
    std::string bytes = {};
    std::vector<CodeRange> set = {};
    std::vector<Id> parts = {};
    int64_t least = 0, most = 0;
    int32_t rule = -1;
  };
  struct Rule {
    std::string name;
    Id definition = -1;
    int32_t first = -1;  // node
  };

  Id add(Expression expression);
  int32_t rule_index(std::string_view name) const;
  int32_t add_node(Grammar::Node node);
  int32_t compile(Id expression, int32_t next);
  int32_t compile_characters(const std::vector<CodeRange>& set, int32_t next);
  int32_t compile_repeat(const Expression& expression, int32_t next);
  bool explore(const Rule& rule, const std::vector<uint8_t>& nullable,
               std::vector<int32_t>& begun) const;
  void refuse_left_recursion() const;

  std::vector<Expression> expressions_;
  std::vector<Rule> rules_;
  std::unordered_map<std::string, int32_t> names_;  // of rules_
  int64_t steps_ = 0;
  Grammar grammar_;
};

}  // namespace yiti
