#include "serving/query.h"

#include <fmt/format.h>

#include <charconv>

namespace yiti::serving {

std::string percent_decode(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
      result += static_cast<char>(value);
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
      return percent_decode(pair.substr(equals + 1));
    }
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
  }
  return {};
}

Page read_page(std::string_view query, int64_t default_limit, int64_t most) {
  Page page = {default_limit, query_value(query, "after"), false};
  if (const std::string text = query_value(query, "limit"); !text.empty()) {
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, page.limit);
    if (parsed.ec != std::errc() || parsed.ptr != end || page.limit < 1 || page.limit > most) {
      reject_field("limit", fmt::format("'limit' wants 1 to {}", most));
    }
  }
  const std::string order = query_value(query, "order");
  if (!order.empty() && order != "asc" && order != "desc") {
    reject_field("order", "'order' wants asc or desc");
  }
  page.oldest_first = order == "asc";
  return page;
}

}  // namespace yiti::serving
