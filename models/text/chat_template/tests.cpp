// What `is` can ask.
#include <algorithm>

#include "models/text/chat_template/filters.h"
#include "models/text/chat_template/operators.h"
#include "models/text/chat_template/text_tools.h"

namespace yiti::jinja {
namespace {

template <bool (*F)(const Value&)>
bool plain(Interpreter&, const Value& input, Arguments& args) {
  const ArgReader reader("this test", args, {});
  return F(input);
}

bool is_defined(const Value& v) { return !v.is_undefined(); }
bool is_undefined(const Value& v) { return v.is_undefined(); }
bool is_none(const Value& v) { return v.is_none(); }
bool is_boolean(const Value& v) { return v.get<bool>() != nullptr; }
bool is_true(const Value& v) { return v.get<bool>() != nullptr && *v.get<bool>(); }
bool is_false(const Value& v) { return v.get<bool>() != nullptr && !*v.get<bool>(); }
bool is_int(const Value& v) { return v.get<int64_t>() != nullptr; }
bool is_float(const Value& v) { return v.get<double>() != nullptr; }
bool is_number(const Value& v) { return v.is_number(); }
bool is_string(const Value& v) { return v.string() != nullptr; }
bool is_mapping(const Value& v) { return v.dict() != nullptr; }
bool is_iterable(const Value& v) {
  return v.is_undefined() || v.string() || v.list() || v.dict() || v.loop();
}
bool is_sequence(const Value& v) { return v.is_undefined() || v.string() || v.list() || v.dict(); }
bool is_callable(const Value& v) { return v.callable() || v.loop(); }

bool is_lower(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("lower", args, {});
  const std::string text = text_of(input, in.budget());
  return lower(text) == text && upper(text) != text;
}

bool is_upper(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("upper", args, {});
  const std::string text = text_of(input, in.budget());
  return upper(text) == text && lower(text) != text;
}

template <Operator kOp>
bool relation(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("a comparison", args, {"other"});
  return compared(kOp, input, reader.required(0), in.budget());
}

bool divisible(Interpreter& in, const Value& input, const Value& by) {
  return !computed(Operator::kModulo, input, by, in.budget()).truth();
}

bool divisible_by(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("divisibleby", args, {"num"});
  return divisible(in, input, reader.required(0));
}

template <bool kEven>
bool parity(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("odd or even", args, {});
  return divisible(in, input, Value(int64_t{2})) == kEven;
}

bool same_as(Interpreter& in, const Value& input, Arguments& args) {
  const ArgReader reader("sameas", args, {"other"});
  const Value& other = reader.required(0);
  return input.type_name() == other.type_name() && equal(input, other, in.budget());
}

bool is_filter(Interpreter&, const Value& input, Arguments&) {
  return input.string() != nullptr && find_filter(*input.string()) != nullptr;
}

bool is_test(Interpreter&, const Value& input, Arguments&) {
  return input.string() != nullptr && find_test(*input.string()) != nullptr;
}

struct NamedTest {
  std::string_view name;
  TestFunction function;
};

constexpr NamedTest kTests[] = {
    {"!=", relation<Operator::kNotEqual>},
    {"<", relation<Operator::kLess>},
    {"<=", relation<Operator::kLessEqual>},
    {"==", relation<Operator::kEqual>},
    {">", relation<Operator::kGreater>},
    {">=", relation<Operator::kGreaterEqual>},
    {"boolean", plain<is_boolean>},
    {"callable", plain<is_callable>},
    {"defined", plain<is_defined>},
    {"divisibleby", divisible_by},
    {"eq", relation<Operator::kEqual>},
    {"equalto", relation<Operator::kEqual>},
    {"even", parity<true>},
    {"false", plain<is_false>},
    {"filter", is_filter},
    {"float", plain<is_float>},
    {"ge", relation<Operator::kGreaterEqual>},
    {"greaterthan", relation<Operator::kGreater>},
    {"gt", relation<Operator::kGreater>},
    {"in", relation<Operator::kIn>},
    {"integer", plain<is_int>},
    {"iterable", plain<is_iterable>},
    {"le", relation<Operator::kLessEqual>},
    {"lessthan", relation<Operator::kLess>},
    {"lower", is_lower},
    {"lt", relation<Operator::kLess>},
    {"mapping", plain<is_mapping>},
    {"ne", relation<Operator::kNotEqual>},
    {"none", plain<is_none>},
    {"number", plain<is_number>},
    {"odd", parity<false>},
    {"sameas", same_as},
    {"sequence", plain<is_sequence>},
    {"string", plain<is_string>},
    {"test", is_test},
    {"true", plain<is_true>},
    {"undefined", plain<is_undefined>},
    {"upper", is_upper},
};

}  // namespace

TestFunction find_test(std::string_view name) {
  const auto* it = std::find_if(std::begin(kTests), std::end(kTests),
                                [name](const NamedTest& t) { return t.name == name; });
  return it == std::end(kTests) ? nullptr : it->function;
}

}  // namespace yiti::jinja
