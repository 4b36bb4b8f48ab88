// Reads training data: one JSON object a line, in one of three forms.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace yiti {

/// The form of a row; all rows of a file have the same.
enum class RowForm : uint8_t {
  kChat,        ///< {"messages": [{"role", "content", "weight"?}, …]}
  kCompletion,  ///< {"prompt": "…", "completion": "…"}
  kText,        ///< {"text": "…"}
};

std::string_view row_form_name(RowForm form);

struct RowMessage {
  std::string role;  ///< system, user, assistant or tool
  std::string content;
  bool trained = true;  ///< false: an assistant message of weight 0
};

struct DataRow {
  int64_t line = 0;  ///< from 1
  RowForm form = RowForm::kText;
  std::vector<RowMessage> messages;
  std::string prompt;
  std::string text;  ///< the text or the completion
};

struct JsonlLimits {
  int64_t file_bytes = int64_t{1} << 30;
  int64_t line_bytes = int64_t{16} << 20;
  int64_t messages = 4096;  ///< in one row
  size_t depth = 32;        ///< of nested arrays and objects
  int reported = 20;        ///< problems kept; the rest are counted
};

/// A line that cannot be used: what was found there and what was wanted.
struct JsonlProblem {
  int64_t line = 0;  ///< from 1
  std::string text;
};

struct JsonlReport {
  std::vector<DataRow> rows;           ///< of the lines without a problem, in order
  std::vector<JsonlProblem> problems;  ///< the first JsonlLimits::reported
  int64_t problem_count = 0;           ///< all
};

/// Parses the lines of `contents`. A byte-order mark, CR before LF and blank lines are passed over,
/// as are keys of a row that none of the forms has; keys that would change the training unseen
/// (tools, tool_calls, …) are problems. Throws only where memory runs out.
JsonlReport scan_jsonl(std::string_view contents, const JsonlLimits& limits = {});

/// The rows of `contents`. Throws kInvalidArgument with every problem as "name:line: …", or when
/// there are no rows.
std::vector<DataRow> parse_jsonl(std::string_view contents, std::string_view name,
                                 const JsonlLimits& limits = {});

/// The rows of a file. Throws kNotFound, kResourceExhausted over file_bytes, and as parse_jsonl.
std::vector<DataRow> read_jsonl(const std::filesystem::path& path, const JsonlLimits& limits = {});

}  // namespace yiti
