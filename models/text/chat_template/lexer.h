// A template's source as tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace yiti::jinja {

enum class TokenKind {
  kText,         ///< outside of tags, as it is to be written
  kOutputBegin,  ///< {{
  kOutputEnd,
  kStatementBegin,  ///< {%
  kStatementEnd,
  kName,
  kString,  ///< `text` without quotes, escapes resolved
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  std::string text;
  int line;
};

/// Cuts `source` as Jinja does with trim_blocks and lstrip_blocks. Throws kInvalidArgument with the
/// line of what is wrong. The last token is kEnd.
std::vector<Token> tokenize(std::string_view source);

}  // namespace yiti::jinja
