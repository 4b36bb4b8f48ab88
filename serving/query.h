// The part of a target behind the question mark, and lists that are read page by page.
#pragma once

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "serving/request_fields.h"

namespace yiti::serving {

/// %XX to bytes; what is no such escape stays.
std::string percent_decode(std::string_view text);

/// The decoded value of `name`; empty where it is not there.
std::string query_value(std::string_view query, std::string_view name);

/// What `query` asks for of a list: limit (1 to `most`), after (an id), order (asc or desc).
struct Page {
  int64_t limit;
  std::string after;
  bool oldest_first;
};
/// Throws ApiException.
Page read_page(std::string_view query, int64_t default_limit, int64_t most);

/// A page of `items` (oldest first; each has an id), newest first unless asked otherwise, as
/// OpenAI's lists. Throws ApiException where `after` names nothing.
template <class Item, class ToJson>
nlohmann::ordered_json page_json(std::vector<Item> items, const Page& page, ToJson to_json) {
  if (!page.oldest_first) std::ranges::reverse(items);
  auto it = items.begin();
  if (!page.after.empty()) {
    it = std::ranges::find(items, page.after, &Item::id);
    if (it == items.end()) reject_field("after", "'after' names nothing in this list");
    ++it;
  }
  nlohmann::ordered_json data = nlohmann::ordered_json::array();
  const auto last = it + std::min<int64_t>(page.limit, items.end() - it);
  for (; it != last; ++it) data.push_back(to_json(*it));
  nlohmann::ordered_json first_id, last_id;
  if (!data.empty()) first_id = data.front()["id"];
  if (!data.empty()) last_id = data.back()["id"];
  return {{"object", "list"},
          {"data", std::move(data)},
          {"first_id", std::move(first_id)},
          {"last_id", std::move(last_id)},
          {"has_more", last != items.end()}};
}

}  // namespace yiti::serving
