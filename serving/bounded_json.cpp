#include "serving/bounded_json.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace yiti::serving {
namespace {

constexpr const char* kWhere = "JSON";

// Where the string that begins before `i` ends: the index after its closing quote.
size_t skip_string(std::string_view text, size_t i) {
  while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
  return i + 1;
}

// Counts brackets and commas only: whether they fit each other is the parser's business.
void check_limits(std::string_view text, const JsonLimits& limits) {
  std::vector<int64_t> members;  // by depth: commas so far, or -1 in an array
  int64_t values = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      i = skip_string(text, i + 1) - 1;
    } else if (c == '{' || c == '[') {
      members.push_back(c == '{' ? 0 : -1);
      ++values;
      check(static_cast<int64_t>(members.size()) <= limits.depth, kWhere,
            "nested deeper than {} levels at byte {}", limits.depth, i);
    } else if (c == '}' || c == ']') {
      if (!members.empty()) members.pop_back();
    } else if (c == ',') {
      ++values;
      if (!members.empty() && members.back() >= 0) {
        check(++members.back() < limits.members, kWhere,
              "an object has more than {} members at byte {}", limits.members, i);
      }
    } else {
      continue;
    }
    check(values <= limits.values, kWhere, "more than {} values", limits.values);
  }
}

}  // namespace

nlohmann::ordered_json parse_request_json(std::string_view text, JsonLimits limits) {
  check_limits(text, limits);
  try {
    return nlohmann::ordered_json::parse(text);
  } catch (const nlohmann::ordered_json::parse_error& error) {
    fail(Code::kInvalidArgument, kWhere, "not valid at byte {}", error.byte);
  } catch (const nlohmann::ordered_json::exception&) {
    fail(Code::kInvalidArgument, kWhere, "a number is out of range");
  }
}

}  // namespace yiti::serving
