#include "training/report/example_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/text/utf8.h"

namespace yiti {
namespace {

constexpr std::string_view kReset = "\x1b[0m";

/// Two shades each, taken in turn: 256-colour codes that read on dark and light terminals.
constexpr std::string_view kTrained[] = {"\x1b[38;5;16;48;5;114m", "\x1b[38;5;16;48;5;150m"};
constexpr std::string_view kOther[] = {"\x1b[38;5;245m", "\x1b[38;5;242m"};

bool is_control(char32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

/// The token's text with line ends as "↵" and what a terminal might obey as \x escapes.
std::string visible(std::string_view piece) {
  std::string text;
  for (size_t at = 0; at < piece.size();) {
    const utf8::Char c = utf8::read(piece, at);
    const size_t size = c.size > 0 ? static_cast<size_t>(c.size) : 1;
    if (piece[at] == '\n') {
      text += "↵";
    } else if (c.size == 0 || is_control(c.code)) {
      for (size_t i = 0; i < size; ++i) {
        text += fmt::format("\\x{:02x}", static_cast<unsigned char>(piece[at + i]));
      }
    } else {
      text += piece.substr(at, size);
    }
    at += size;
  }
  return text;
}

std::string heading(const Example& example, bool colour) {
  const std::string counts = fmt::format("Example of line {}: {} tokens, {} trained", example.line,
                                         example.tokens.size(), example.trained_tokens());
  if (!colour) return counts + " ([…] is trained, | ends the others)\n";
  return fmt::format("{} ({} trained {} {} not trained {})\n", counts, kTrained[0], kReset,
                     kOther[0], kReset);
}

}  // namespace

std::string view_example(const Example& example, const Tokenizer& tokenizer,
                         const ExampleViewOptions& options) {
  std::string view = heading(example, options.colour);
  const size_t shown = std::min(example.tokens.size(),
                                static_cast<size_t>(std::max<int64_t>(0, options.max_tokens)));
  for (size_t i = 0; i < shown; ++i) {
    const std::string_view piece = tokenizer.token_piece(example.tokens[i]);
    const std::string text = visible(piece);
    if (options.colour) {
      const auto& shades = example.trained[i] ? kTrained : kOther;
      view += fmt::format("{}{}{}", shades[i % 2], text, kReset);
    } else {
      view += example.trained[i] ? "[" + text + "]" : text + "|";
    }
    if (piece.ends_with('\n')) view += '\n';
  }
  if (!view.ends_with('\n')) view += '\n';
  if (shown < example.tokens.size()) {
    view += fmt::format("… and {} more tokens\n", example.tokens.size() - shown);
  }
  return view;
}

}  // namespace yiti
