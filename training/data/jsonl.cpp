#include "training/data/jsonl.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/io/json.h"
#include "models/text/utf8.h"

namespace yiti {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kWhere = "jsonl";
constexpr std::string_view kFormsWanted =
    "wants \"messages\", or \"prompt\" and \"completion\", or \"text\"";
constexpr std::array<std::string_view, 4> kRoles = {"system", "user", "assistant", "tool"};
constexpr std::array<const char*, 2> kRefusedRowKeys = {"tools", "functions"};
constexpr std::array<const char*, 2> kRefusedMessageKeys = {"tool_calls", "function_call"};

/// Strings from the file are quoted in messages; a long one must not become the message.
std::string shortened(const std::string& text) {
  constexpr size_t kMost = 40;
  if (text.size() <= kMost) return text;
  const std::string_view start = std::string_view(text).substr(0, kMost);
  return std::string(start.substr(0, utf8::valid_prefix(start))) + "…";
}

void check_utf8(std::string_view line) {
  const size_t valid = utf8::valid_prefix(line);
  if (valid == line.size()) return;
  fail(Code::kInvalidArgument, kWhere,
       "invalid UTF-8 at column {} (byte 0x{:02x}); wants UTF-8 text", valid + 1,
       static_cast<unsigned char>(line[valid]));
}

std::string string_at(const Json& object, const char* key, std::string_view place) {
  const auto found = object.find(key);
  check(found != object.end(), kWhere, "{}has no \"{}\"; wants a string", place, key);
  check(found->is_string(), kWhere, "{}\"{}\" is of type {}; wants a string", place, key,
        found->type_name());
  return found->get<std::string>();
}

/// A message's content: a string, or OpenAI's list of text parts.
std::string content_of(const Json& message, std::string_view place) {
  const auto found = message.find("content");
  if (found == message.end() || !found->is_array()) return string_at(message, "content", place);
  std::string content;
  for (const Json& part : *found) {
    check(part.is_object() && part.contains("type") && part["type"] == "text", kWhere,
          "{}\"content\" has a part that is not {{\"type\": \"text\"}}; wants text only", place);
    content += string_at(part, "text", place);
  }
  return content;
}

bool weight_of(const Json& message, std::string_view role, std::string_view place) {
  const auto found = message.find("weight");
  if (found == message.end()) return true;
  check(role == "assistant", kWhere, "{}\"weight\" on a message of role \"{}\"; wants it on {}",
        place, role, "assistant messages only");
  if (!found->is_number() || (*found != 0 && *found != 1)) {
    fail(Code::kInvalidArgument, kWhere, "{}\"weight\" is {}; wants 0 or 1", place,
         shortened(found->dump()));
  }
  return *found == 1;
}

template <size_t N>
void refuse_keys(const Json& object, const std::array<const char*, N>& keys,
                 std::string_view place) {
  for (const char* key : keys) {
    check(!object.contains(key) || object[key].is_null(), kWhere,
          "{}\"{}\" is not supported; wants messages of text only", place, key);
  }
}

RowMessage read_message(const Json& json, size_t index) {
  const std::string place = fmt::format("messages[{}]: ", index);
  check(json.is_object(), kWhere, "{}is of type {}; wants an object", place, json.type_name());
  refuse_keys(json, kRefusedMessageKeys, place);
  RowMessage message;
  message.role = string_at(json, "role", place);
  check(std::find(kRoles.begin(), kRoles.end(), message.role) != kRoles.end(), kWhere,
        "{}unknown role \"{}\"; wants system, user, assistant or tool", place,
        shortened(message.role));
  message.content = content_of(json, place);
  message.trained = weight_of(json, message.role, place);
  return message;
}

void read_messages(const Json& json, const JsonlLimits& limits, DataRow& row) {
  check(json.is_array(), kWhere, "\"messages\" is of type {}; wants an array", json.type_name());
  check(!json.empty(), kWhere, "\"messages\" is empty; wants a conversation");
  check(std::cmp_less_equal(json.size(), limits.messages), kWhere,
        "\"messages\" has {} entries; wants at most {}", json.size(), limits.messages);
  bool answered = false, trained = false;
  for (size_t i = 0; i < json.size(); ++i) {
    row.messages.push_back(read_message(json[i], i));
    if (row.messages.back().role != "assistant") continue;
    answered = true;
    trained = trained || row.messages.back().trained;
  }
  check(answered, kWhere, "no assistant message; wants at least one to train on");
  check(trained, kWhere, "every assistant message has weight 0; wants one of weight 1");
}

/// The row's form. A row of two forms is refused, since either reading could be the wrong one.
RowForm form_of(const Json& json) {
  const bool chat = json.contains("messages"), text = json.contains("text");
  const bool completion = json.contains("prompt") || json.contains("completion");
  check(chat || text || completion, kWhere, "none of the known keys; {}", kFormsWanted);
  check(int{chat} + int{text} + int{completion} == 1, kWhere, "keys of several forms; {}",
        kFormsWanted);
  return chat ? RowForm::kChat : completion ? RowForm::kCompletion : RowForm::kText;
}

DataRow read_row(std::string_view line, const JsonlLimits& limits) {
  check(std::cmp_less_equal(line.size(), limits.line_bytes), kWhere,
        "{} bytes long; wants at most {}", line.size(), limits.line_bytes);
  check_utf8(line);
  const Json json = parse_json(line, kWhere, limits.depth);
  check(json.is_object(), kWhere, "the row is of type {}; wants a JSON object", json.type_name());
  refuse_keys(json, kRefusedRowKeys, "");
  DataRow row;
  row.form = form_of(json);
  switch (row.form) {
    case RowForm::kChat: read_messages(json["messages"], limits, row); break;
    case RowForm::kCompletion:
      row.prompt = string_at(json, "prompt", "");
      row.text = string_at(json, "completion", "");
      check(!row.text.empty(), kWhere, "\"completion\" is empty; wants text to train on");
      break;
    case RowForm::kText:
      row.text = string_at(json, "text", "");
      check(!row.text.empty(), kWhere, "\"text\" is empty; wants text to train on");
      break;
  }
  return row;
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == line.npos; }

std::string message_without_where(const Error& error) {
  return std::string(error.what()).substr(error.where().size() + 2);
}

}  // namespace

std::string_view row_form_name(RowForm form) {
  switch (form) {
    case RowForm::kChat: return "messages";
    case RowForm::kCompletion: return "prompt/completion";
    case RowForm::kText: return "text";
  }
  fail(Code::kInternal, kWhere, "form {} has no name", static_cast<int>(form));
}

JsonlReport scan_jsonl(std::string_view contents, const JsonlLimits& limits) {
  JsonlReport report;
  if (contents.starts_with("\xEF\xBB\xBF")) contents.remove_prefix(3);
  std::optional<std::pair<RowForm, int64_t>> first;
  for (int64_t number = 1; !contents.empty(); ++number) {
    const size_t end = std::min(contents.find('\n'), contents.size());
    std::string_view line = contents.substr(0, end);
    contents.remove_prefix(std::min(end + 1, contents.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (is_blank(line)) continue;
    try {
      DataRow row = read_row(line, limits);
      row.line = number;
      if (!first) first = {row.form, number};
      check(row.form == first->first, kWhere, "a row of the form {}; wants {}, as in line {}",
            row_form_name(row.form), row_form_name(first->first), first->second);
      report.rows.push_back(std::move(row));
    } catch (const Error& error) {
      if (report.problem_count++ < limits.reported) {
        report.problems.push_back({number, message_without_where(error)});
      }
    }
  }
  return report;
}

std::vector<DataRow> parse_jsonl(std::string_view contents, std::string_view name,
                                 const JsonlLimits& limits) {
  JsonlReport report = scan_jsonl(contents, limits);
  if (report.problem_count > 0) {
    std::string text = fmt::format("{} of the lines cannot be used", report.problem_count);
    for (const JsonlProblem& problem : report.problems) {
      text += fmt::format("\n{}:{}: {}", name, problem.line, problem.text);
    }
    const int64_t more = report.problem_count - static_cast<int64_t>(report.problems.size());
    if (more > 0) text += fmt::format("\n… and {} more", more);
    fail(Code::kInvalidArgument, kWhere, "{}", text);
  }
  check(!report.rows.empty(), kWhere, "{} has no rows; {} on each line", name, kFormsWanted);
  return std::move(report.rows);
}

std::vector<DataRow> read_jsonl(const std::filesystem::path& path, const JsonlLimits& limits) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    fail(Code::kInvalidArgument, kWhere, "{} is a folder; wants a JSONL file", path.string());
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(Code::kNotFound, kWhere, "{} cannot be opened", path.string());
  std::string contents;
  std::vector<char> chunk(size_t{1} << 20);
  // In chunks, not by the reported size: a pipe has none, and a file may grow.
  while (file.read(chunk.data(), static_cast<std::streamsize>(chunk.size())), file.gcount() > 0) {
    contents.append(chunk.data(), static_cast<size_t>(file.gcount()));
    if (std::cmp_greater(contents.size(), limits.file_bytes)) {
      fail(Code::kResourceExhausted, kWhere, "{} is longer than {} bytes, the most that is read",
           path.string(), limits.file_bytes);
    }
  }
  check(!file.bad(), kWhere, "{} cannot be read to its end", path.string());
  return parse_jsonl(contents, path.string(), limits);
}

}  // namespace yiti
