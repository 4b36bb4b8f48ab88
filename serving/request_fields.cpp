#include "serving/request_fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "serving/api_error.h"
#include "serving/bounded_json.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void reject_type(std::string_view name, const Json& got, std::string_view wanted) {
  reject_field(name, fmt::format("'{}' is of type {}; wants {}", name, got.type_name(), wanted),
               "invalid_type");
}

}  // namespace

void reject_field(std::string_view field, std::string message, std::string code) {
  throw ApiException(
      {.message = std::move(message), .param = std::string(field), .code = std::move(code)});
}

Json parse_request_object(std::string_view body) {
  Json json = parse_request_json(body);
  if (!json.is_object()) reject_field("", "the body wants to be a JSON object");
  return json;
}

const Json* RequestFields::find(std::string_view name) {
  known_.emplace_back(name);
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

const Json& RequestFields::require(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) {
    reject_field(name, fmt::format("'{}' is missing", name), "missing_required_parameter");
  }
  return *value;
}

std::optional<std::string> RequestFields::string(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) reject_type(name, *value, "a string");
  return value->get<std::string>();
}

std::optional<bool> RequestFields::boolean(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) reject_type(name, *value, "a boolean");
  return value->get<bool>();
}

std::optional<int64_t> RequestFields::integer(std::string_view name, int64_t least, int64_t most) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) reject_type(name, *value, "an integer");
  const bool too_large =
      value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  const int64_t number = too_large ? INT64_MAX : value->get<int64_t>();
  if (too_large || number < least || number > most) {
    const std::string bound = most == INT64_MAX ? fmt::format("at least {}", least)
                                                : fmt::format("{} to {}", least, most);
    reject_field(name, fmt::format("'{}' is {}; wants {}", name, value->dump(), bound));
  }
  return number;
}

std::optional<double> RequestFields::number(std::string_view name, double least, double most) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) reject_type(name, *value, "a number");
  const double number = value->get<double>();
  if (!(number >= least && number <= most)) {
    reject_field(name, fmt::format("'{}' is {}; wants {} to {}", name, number, least, most));
  }
  return number;
}

void RequestFields::refuse_unless(std::string_view name, const Json& neutral) {
  const Json* value = find(name);
  if (value == nullptr || *value == neutral || (value->is_structured() && value->empty())) return;
  reject_field(name, fmt::format("'{}' is not supported", name), "unsupported_parameter");
}

void RequestFields::refuse_unknown() const {
  for (const auto& [name, value] : object_.items()) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const std::string shown = name.substr(0, 64);
    reject_field(shown, fmt::format("unrecognized request argument: {}", shown),
                 "unknown_parameter");
  }
}

}  // namespace yiti::serving
