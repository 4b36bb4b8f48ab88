#include "core/io/json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/io/printable.h"

namespace yiti {
namespace {

using nlohmann::json;

// Watches the parser: the keys of each object that is open, one set a level.
class Watcher {
 public:
  Watcher(std::string_view where, size_t max_depth) : where_(where), max_depth_(max_depth) {}

  bool operator()(json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        check(keys_.size() < max_depth_, where_, "JSON nests deeper than {} levels", max_depth_);
        keys_.emplace_back();
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end: keys_.pop_back(); break;
      case json::parse_event_t::key: {
        const std::string& key = parsed.get_ref<const std::string&>();
        if (!keys_.back().insert(key).second) {
          fail(Code::kInvalidArgument, where_, "JSON object has the key {} twice", printable(key));
        }
        break;
      }
      case json::parse_event_t::value: break;
    }
    return true;
  }

 private:
  std::string_view where_;
  size_t max_depth_;
  std::vector<std::set<std::string>> keys_;
};

// "line 1, column 12: syntax error …", without the library's own name for it; text of one line is
// part of something longer more often than not, so that its line number would mislead.
std::string reason(const json::exception& error, std::string_view text) {
  constexpr std::string_view kAt = "parse error at ", kOnlyLine = "line 1, ";
  std::string_view what = error.what();
  if (const size_t at = what.find(kAt); at != what.npos) what.remove_prefix(at + kAt.size());
  const bool one_line = text.find('\n') == text.npos;
  if (one_line && what.starts_with(kOnlyLine)) what.remove_prefix(kOnlyLine.size());
  return printable(what, 300);
}

}  // namespace

json parse_json(std::string_view text, std::string_view where, size_t max_depth) {
  Watcher watcher(where, max_depth);
  try {
    return json::parse(text, [&](int, json::parse_event_t event, const json& parsed) {
      return watcher(event, parsed);
    });
  } catch (const json::exception& error) {
    fail(Code::kInvalidArgument, where, "malformed JSON: {}", reason(error, text));
  }
}

}  // namespace yiti
