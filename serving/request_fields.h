// Typed access to the fields of a JSON request, with errors that name the field.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace yiti::serving {

/// Throws ApiException: 400 for this field.
[[noreturn]] void reject_field(std::string_view field, std::string message,
                               std::string code = "invalid_value");

/// The object that a request's body is. Throws ApiException for another value, Error as
/// parse_request_json().
nlohmann::ordered_json parse_request_object(std::string_view body);

/// The members of a request's object. A null member counts as left out. Getters throw
/// ApiException where a member has another type or is out of range, and note the field as known.
class RequestFields {
 public:
  explicit RequestFields(const nlohmann::ordered_json& object) : object_(object) {}

  /// Null where it is left out.
  const nlohmann::ordered_json* find(std::string_view name);
  const nlohmann::ordered_json& require(std::string_view name);
  std::optional<std::string> string(std::string_view name);
  std::optional<bool> boolean(std::string_view name);
  std::optional<int64_t> integer(std::string_view name, int64_t least,
                                 int64_t most = std::numeric_limits<int64_t>::max());
  /// Within [least, most].
  std::optional<double> number(std::string_view name, double least, double most);

  /// For what has no bearing on the answer.
  void ignore(std::string_view name) { find(name); }
  /// Rejects the field unless it is left out or equals `neutral` (empty arrays and objects too).
  void refuse_unless(std::string_view name, const nlohmann::ordered_json& neutral);
  /// Rejects fields that nobody asked for.
  void refuse_unknown() const;

 private:
  const nlohmann::ordered_json& object_;
  std::vector<std::string> known_;
};

}  // namespace yiti::serving
