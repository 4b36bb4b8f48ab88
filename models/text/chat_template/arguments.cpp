#include <algorithm>

#include "models/text/chat_template/filters.h"
#include "models/text/chat_template/text_tools.h"

namespace yiti::jinja {

ArgReader::ArgReader(std::string_view function, const Arguments& args,
                     std::initializer_list<std::string_view> names)
    : function_(function), names_(names), values_(names.size()) {
  check(args.positional.size() <= names.size(), kWhere, "{} takes at most {} arguments; got {}",
        function, names.size(), args.positional.size());
  for (size_t i = 0; i < args.positional.size(); ++i) values_[i] = &args.positional[i];
  for (const auto& [name, value] : args.named) {
    const auto it = std::find(names_.begin(), names_.end(), name);
    check(it != names_.end(), kWhere, "{} takes no argument \"{}\"", function, name);
    values_[static_cast<size_t>(it - names_.begin())] = &value;
  }
}

void ArgReader::wrong(size_t i, std::string_view wants) const {
  fail(Code::kInvalidArgument, kWhere, "{}'s \"{}\" is a {}; wants {}", function_, names_[i],
       values_[i]->type_name(), wants);
}

int64_t ArgReader::integer(size_t i, int64_t otherwise) const {
  if (values_[i] == nullptr || values_[i]->is_none()) return otherwise;
  if (!values_[i]->is_integer()) wrong(i, "an integer");
  return values_[i]->integer();
}

std::string ArgReader::text(size_t i, std::string_view otherwise) const {
  if (values_[i] == nullptr || values_[i]->is_none()) return std::string(otherwise);
  if (values_[i]->string() == nullptr) wrong(i, "text");
  return *values_[i]->string();
}

bool ArgReader::flag(size_t i, bool otherwise) const {
  return values_[i] == nullptr ? otherwise : values_[i]->truth();
}

const Value& ArgReader::required(size_t i) const {
  check(values_[i] != nullptr, kWhere, "{} lacks its argument \"{}\"", function_, names_[i]);
  return *values_[i];
}

Value path_of(const Value& value, const Value& path, Budget* budget) {
  if (path.string() == nullptr) return item_of(value, path, budget);
  Value at = value;
  for (const std::string& part : split_at(*path.string(), ".", -1)) {
    const bool number =
        !part.empty() && part.size() < 10 &&
        std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    at = item_of(at, number ? Value(int64_t{std::stol(part)}) : Value(part), budget);
  }
  return at;
}

const std::string& text_input(std::string_view function, const Value& input) {
  check(input.string() != nullptr, kWhere, "{} wants text; got a {}", function, input.type_name());
  return *input.string();
}

}  // namespace yiti::jinja
