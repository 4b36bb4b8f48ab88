#include "inference/grammar/json_grammar.h"

namespace yiti {

// A name with a dollar sign cannot come from GBNF or a schema.
template <class F>
JsonGrammar::Id JsonGrammar::shared(std::string_view name, F make) {
  const Id rule = builder_.rule(name);
  if (started_.insert(std::string(name)).second) builder_.define(name, make());
  return rule;
}

JsonGrammar::Id JsonGrammar::space() {
  return shared("$space", [this] {
    const Id indent = builder_.characters({{U' ', U' '}, {U'\t', U'\t'}});
    return builder_.choice({builder_.sequence({}), literal(" "),
                            builder_.sequence({literal("\n"), builder_.repeat(indent, 0, 20)})});
  });
}

JsonGrammar::Id JsonGrammar::digits(int64_t least, int64_t most) {
  return builder_.repeat(builder_.characters({{U'0', U'9'}}), least, most);
}

JsonGrammar::Id JsonGrammar::integer() {
  return shared("$integer", [this] {
    const Id whole = builder_.choice(
        {literal("0"), builder_.sequence({builder_.characters({{U'1', U'9'}}), digits(0, 15)})});
    return builder_.sequence({builder_.optional(literal("-")), whole});
  });
}

JsonGrammar::Id JsonGrammar::number() {
  return shared("$number", [this] {
    const Id fraction = builder_.sequence({literal("."), digits(1, 16)});
    const Id exponent = builder_.sequence(
        {builder_.characters({{U'e', U'e'}, {U'E', U'E'}}),
         builder_.optional(builder_.choice({literal("+"), literal("-")})), digits(1, 3)});
    return builder_.sequence({integer(), builder_.optional(fraction), builder_.optional(exponent)});
  });
}

JsonGrammar::Id JsonGrammar::boolean() {
  return builder_.choice({literal("true"), literal("false")});
}

JsonGrammar::Id JsonGrammar::character() {
  return shared("$character", [this] {
    const Id plain = builder_.characters(complement({{0, 0x1F}, {U'"', U'"'}, {U'\\', U'\\'}}));
    const std::vector<CodeRange> hex = {{U'0', U'9'}, {U'a', U'f'}, {U'A', U'F'}};
    const Id any = builder_.characters(hex);
    const Id not_d =
        builder_.characters({{U'0', U'9'}, {U'a', U'c'}, {U'e', U'f'}, {U'A', U'C'}, {U'E', U'F'}});
    const Id d = builder_.characters({{U'd', U'd'}, {U'D', U'D'}});
    const Id code =
        builder_.choice({builder_.sequence({not_d, any, any, any}),
                         builder_.sequence({d, builder_.characters({{U'0', U'7'}}), any, any})});
    std::vector<Id> escapes = {builder_.sequence({literal("u"), code})};
    for (const char* letter : {"\"", "\\", "/", "b", "f", "n", "r", "t"}) {
      escapes.push_back(literal(letter));
    }
    return builder_.choice(
        {plain, builder_.sequence({literal("\\"), builder_.choice(std::move(escapes))})});
  });
}

JsonGrammar::Id JsonGrammar::string() {
  return shared("$string", [this] { return string(0, GrammarBuilder::kAnyNumber); });
}

JsonGrammar::Id JsonGrammar::string(int64_t least, int64_t most) {
  return builder_.sequence(
      {literal("\""), builder_.repeat(character(), least, most), literal("\"")});
}

JsonGrammar::Id JsonGrammar::object() {
  return shared("$object", [this] {
    const Id member = builder_.sequence({string(), literal(":"), space(), value()});
    const Id more = builder_.sequence({space(), literal(","), space(), member});
    const Id members =
        builder_.sequence({member, builder_.repeat(more, 0, GrammarBuilder::kAnyNumber), space()});
    return builder_.sequence({literal("{"), space(), builder_.optional(members), literal("}")});
  });
}

JsonGrammar::Id JsonGrammar::array() {
  return shared("$array", [this] {
    const Id more = builder_.sequence({space(), literal(","), space(), value()});
    const Id items =
        builder_.sequence({value(), builder_.repeat(more, 0, GrammarBuilder::kAnyNumber), space()});
    return builder_.sequence({literal("["), space(), builder_.optional(items), literal("]")});
  });
}

JsonGrammar::Id JsonGrammar::value() {
  return shared("$value", [this] {
    return builder_.choice({object(), array(), string(), number(), boolean(), null()});
  });
}

Grammar json_object_grammar() {
  GrammarBuilder builder;
  builder.define("root", JsonGrammar(builder).object());
  return builder.build("root");
}

}  // namespace yiti
