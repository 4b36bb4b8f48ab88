// JSON texts (RFC 8259) as grammar expressions.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "inference/grammar/grammar.h"

namespace yiti {

/// The parts of JSON in one builder. Between tokens it allows a space, or a line break with up to
/// 20 of indent, so that a model cannot go on with white space for ever; numbers have bounded
/// digits for the same reason. Strings hold no surrogates, escaped or not.
class JsonGrammar {
 public:
  using Id = GrammarBuilder::Id;
  explicit JsonGrammar(GrammarBuilder& builder) : builder_(builder) {}

  Id value();
  Id object();
  Id array();
  Id string();
  /// A string of so many characters; most may be kAnyNumber.
  Id string(int64_t least, int64_t most);
  Id number();
  Id integer();
  Id boolean();
  Id null() { return builder_.literal("null"); }
  Id space();

 private:
  Id literal(std::string_view text) { return builder_.literal(text); }
  Id character();
  Id digits(int64_t least, int64_t most);
  /// The rule `name`, which `make` defines where it is asked for first.
  template <class F>
  Id shared(std::string_view name, F make);

  GrammarBuilder& builder_;
  std::set<std::string> started_;  // shared rules, while they are made too
};

/// Any JSON object.
Grammar json_object_grammar();

}  // namespace yiti
