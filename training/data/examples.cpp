#include "training/data/examples.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"

namespace yiti {
namespace {

constexpr std::string_view kWhere = "training data";

nlohmann::ordered_json to_json(const std::vector<RowMessage>& messages) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const RowMessage& message : messages) {
    json.push_back({{"role", message.role}, {"content", message.content}});
  }
  return json;
}

/// For each assistant span whether the loss counts it: the weight of its message.
std::vector<bool> span_weights(const DataRow& row, size_t spans) {
  std::vector<bool> weights;
  for (const RowMessage& message : row.messages) {
    if (message.role == "assistant") weights.push_back(message.trained);
  }
  const bool all = std::find(weights.begin(), weights.end(), false) == weights.end();
  if (all) return std::vector<bool>(spans, true);
  if (weights.size() != spans) {
    fail(
        Code::kFailedPrecondition, kWhere,
        "the chat template renders {} assistant messages as {} spans, so that \"weight\" cannot be "
        "applied; wants rows without weights, or a template that renders each message",
        weights.size(), spans);
  }
  return weights;
}

Example chat_example(const DataRow& row, const TextModel& text, bool train_on_prompt) {
  if (!text.chat) {
    fail(Code::kFailedPrecondition, kWhere, "the model has no chat template{}{}; wants {}",
         text.chat_error.empty() ? "" : ": ", text.chat_error,
         "rows of \"prompt\" and \"completion\" or \"text\", or a model with a template");
  }
  const RenderedChat chat = text.chat->render_with_spans(to_json(row.messages));
  const std::vector<bool> weights = span_weights(row, chat.assistant.size());
  Example example;
  size_t span = 0;
  for (const TokenSpan& token :
       text.tokenizer.encode_with_spans(chat.text, {.add_special = false})) {
    while (span < chat.assistant.size() && chat.assistant[span].end <= token.begin) ++span;
    const bool inside = span < chat.assistant.size() && chat.assistant[span].begin <= token.begin &&
                        token.begin < token.end;
    example.tokens.push_back(token.id);
    example.trained.push_back(inside ? weights[span] : train_on_prompt);
  }
  return example;
}

void append(Example& example, const std::vector<int32_t>& tokens, bool trained) {
  example.tokens.insert(example.tokens.end(), tokens.begin(), tokens.end());
  example.trained.resize(example.tokens.size(), trained);
}

void append_eos(Example& example, const Tokenizer& tokenizer) {
  const int32_t eos = tokenizer.eos();
  if (eos < 0 || (!example.tokens.empty() && example.tokens.back() == eos)) return;
  append(example, {eos}, true);
}

Example plain_example(const DataRow& row, const TextModel& text, bool train_on_prompt) {
  const Tokenizer& tokenizer = text.tokenizer;
  Example example;
  if (tokenizer.adds_bos()) append(example, {tokenizer.bos()}, false);
  append(example, tokenizer.encode(row.prompt, {.add_special = false}), train_on_prompt);
  append(example, tokenizer.encode(row.text, {.add_special = false}), true);
  append_eos(example, tokenizer);
  return example;
}

/// Line numbers for a message: the first few, then how many more.
std::string lines_text(const std::vector<int64_t>& lines) {
  constexpr size_t kMost = 10;
  const size_t shown = std::min(lines.size(), kMost);
  std::string text =
      fmt::format("line{} {}", lines.size() == 1 ? "" : "s",
                  fmt::join(lines.begin(), lines.begin() + static_cast<long>(shown), ", "));
  if (shown < lines.size()) text += fmt::format(" and {} more", lines.size() - shown);
  return text;
}

int64_t token_limit(const ExampleOptions& options) {
  check(options.max_tokens >= 0 && options.context_tokens >= 0, kWhere,
        "max_tokens is {} and context_tokens {}; wants 0 or more", options.max_tokens,
        options.context_tokens);
  check(options.context_tokens == 0 || options.max_tokens <= options.context_tokens, kWhere,
        "max_tokens is {}; wants at most the model's context, {}", options.max_tokens,
        options.context_tokens);
  return options.max_tokens > 0 ? options.max_tokens : options.context_tokens;
}

bool ends_text(const TextModel& text, int32_t token) {
  return token == text.tokenizer.eos() ||
         std::find(text.stop_tokens.begin(), text.stop_tokens.end(), token) !=
             text.stop_tokens.end();
}

bool has_double_bos(const Example& example, int32_t bos) {
  return bos >= 0 && example.tokens.size() >= 2 && example.tokens[0] == bos &&
         example.tokens[1] == bos;
}

/// Whether a trained token of the example satisfies `wanted`.
template <class F>
bool any_trained(const Example& example, F wanted) {
  for (size_t i = 0; i < example.tokens.size(); ++i) {
    if (example.trained[i] && wanted(example.tokens[i])) return true;
  }
  return false;
}

void check_pad(const ExampleSet& set, const TextModel& text, int32_t pad) {
  if (pad < 0 || !ends_text(text, pad)) return;
  for (const Example& example : set.examples) {
    check(
        !any_trained(example, [&](int32_t token) { return token == pad; }), kWhere,
        "pad_token {} also ends a text and is trained in line {}: a loss that skips padding would "
        "skip it too, and the model would not learn to stop; wants packed batches (no pad_token) "
        "or another pad token",
        pad, example.line);
  }
}

void add_notes(ExampleSet& set, const TextModel& text, int64_t limit) {
  if (set.truncated > 0) {
    set.notes.push_back(
        fmt::format("{} of {} examples are longer than {} tokens and lose their end", set.truncated,
                    set.examples.size() + static_cast<size_t>(set.skipped), limit));
  }
  if (set.skipped > 0) {
    set.notes.push_back(
        fmt::format("{} rows are left out: no token of theirs would be trained", set.skipped));
  }
  const auto ends = [&](int32_t token) { return ends_text(text, token); };
  const bool learns_to_stop =
      std::any_of(set.examples.begin(), set.examples.end(),
                  [&](const Example& example) { return any_trained(example, ends); });
  if (!learns_to_stop) {
    set.notes.emplace_back("no end-of-turn token is trained, so the model does not learn to stop");
  }
}

}  // namespace

int64_t Example::trained_tokens() const {
  return std::accumulate(trained.begin(), trained.end(), int64_t{0});
}

Example make_example(const DataRow& row, const TextModel& text, bool train_on_prompt) {
  Example example = row.form == RowForm::kChat ? chat_example(row, text, train_on_prompt)
                                               : plain_example(row, text, train_on_prompt);
  example.line = row.line;
  if (!example.trained.empty()) example.trained[0] = 0;
  return example;
}

ExampleSet make_examples(std::span<const DataRow> rows, const TextModel& text,
                         const ExampleOptions& options) {
  const int64_t limit = token_limit(options);
  ExampleSet set;
  std::vector<int64_t> doubled, too_long;
  for (const DataRow& row : rows) {
    Example example;
    try {
      example = make_example(row, text, options.train_on_prompt);
    } catch (const Error& error) {
      fail(error.code(), kWhere, "line {}: {}", row.line, error.what());
    }
    if (has_double_bos(example, text.tokenizer.bos())) doubled.push_back(row.line);
    if (limit > 0 && std::cmp_greater(example.tokens.size(), limit)) {
      too_long.push_back(row.line);
      example.tokens.resize(static_cast<size_t>(limit));
      example.trained.resize(static_cast<size_t>(limit));
    }
    const int64_t trained = example.trained_tokens();
    if (trained == 0) {
      ++set.skipped;
      continue;
    }
    set.tokens += static_cast<int64_t>(example.tokens.size());
    set.trained_tokens += trained;
    set.examples.push_back(std::move(example));
  }
  check(doubled.empty(), kWhere, "BOS is doubled in {}; wants text without it, since {} adds it",
        lines_text(doubled), "the tokenizer or the chat template");
  check(too_long.empty() || options.over_length == OverLength::kTruncate, kWhere,
        "longer than {} tokens: {}; wants shorter rows, or truncation", limit,
        lines_text(too_long));
  check(!set.examples.empty(), kWhere,
        "nothing would be trained: none of the {} rows has a token for the loss{}", rows.size(),
        too_long.empty() ? "" : " before it is cut off; wants a larger max_tokens");
  set.truncated = static_cast<int64_t>(too_long.size());
  check_pad(set, text, options.pad_token);
  add_notes(set, text, limit);
  return set;
}

}  // namespace yiti
