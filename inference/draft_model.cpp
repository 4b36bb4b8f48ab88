#include "inference/draft_model.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace yiti {
namespace {

// New tokens of all texts that a call reads, so that a long prompt does not hold up the others.
constexpr int64_t kReadAtOnce = 256;

}  // namespace

DraftModel::DraftModel(ModelPtr model, int64_t vocab_size, const LanguageSessionOptions& options)
    : session_(std::move(model), options) {
  check(session_.vocab_size() == vocab_size, "draft model",
        "it has {} tokens; wants the {} of the model that it drafts for", session_.vocab_size(),
        vocab_size);
}

void DraftModel::end(uint64_t text) {
  const auto found = texts_.find(text);
  if (found == texts_.end()) return;
  session_.close(found->second.sequence);
  texts_.erase(found);
}

void DraftModel::draft(std::span<DraftRequest> requests) {
  const auto drafted = capture_errors("draft model", [&] {
    std::vector<Drafting> texts;
    for (DraftRequest& request : requests) {
      if (const auto text = prepare(request)) texts.push_back(*text);
    }
    texts = catch_up(std::move(texts));
    while (true) {
      std::erase_if(texts, [](const Drafting& text) {
        return std::cmp_equal(text.request->draft.size(), text.request->wanted);
      });
      if (texts.empty()) break;
      std::vector<Feed> feeds;
      for (const Drafting& text : texts) {
        const auto last = std::span<const int32_t>(text.request->draft).last(1);
        text.text->fed.push_back(last[0]);
        feeds.push_back({.sequence = text.text->sequence, .tokens = last, .drafted = 1});
      }
      guess(texts, feeds);
    }
  });
  if (drafted.ok()) return;
  for (const DraftRequest& request : requests) end(request.text);
}

// The text's sequence, without the guesses that were wrong.
std::optional<DraftModel::Drafting> DraftModel::prepare(DraftRequest& request) {
  if (request.wanted == 0) return std::nullopt;
  const std::span<const int32_t> tokens = request.tokens;
  if (static_cast<int64_t>(tokens.size()) + request.wanted > session_.context_length()) {
    end(request.text);
    return std::nullopt;
  }
  auto found = texts_.find(request.text);
  if (found == texts_.end()) {
    const SequenceId sequence = session_.open_with_prompt(tokens, 0, nullptr, request.owner);
    const auto held = tokens.first(static_cast<size_t>(session_.length(sequence)));
    found = texts_.emplace(request.text, Text{sequence, {held.begin(), held.end()}}).first;
  }
  Text& text = found->second;
  // The last token is always fed, for its logits.
  const auto known = tokens.first(std::min(tokens.size() - 1, text.fed.size()));
  const auto same = std::mismatch(known.begin(), known.end(), text.fed.begin()).first;
  text.fed.resize(static_cast<size_t>(same - known.begin()));
  session_.keep(text.sequence, static_cast<int64_t>(text.fed.size()));
  return Drafting{&request, &text};
}

// Reads what is new of the texts, the shortest first; returns those that are read to their end,
// with a first guess.
std::vector<DraftModel::Drafting> DraftModel::catch_up(std::vector<Drafting> texts) {
  const auto left = [](const Drafting& one) {
    return one.request->tokens.subspan(one.text->fed.size());
  };
  std::ranges::stable_sort(texts, {}, [&](const Drafting& one) { return left(one).size(); });
  auto room = static_cast<size_t>(std::min(kReadAtOnce, session_.options().max_batch_tokens));
  std::vector<Feed> feeds;
  std::vector<Drafting> whole;
  for (const Drafting& one : texts) {
    const auto next = left(one).first(std::min(left(one).size(), room));
    if (next.empty()) break;
    const bool ends = next.size() == left(one).size();
    feeds.push_back({.sequence = one.text->sequence,
                     .tokens = next,
                     .no_logits = !ends,
                     .drafted = ends ? 1 : 0});
    if (ends) whole.push_back(one);
    one.text->fed.insert(one.text->fed.end(), next.begin(), next.end());
    room -= next.size();
  }
  if (!feeds.empty()) guess(whole, feeds);
  return whole;
}

// Runs a step. Its rows are those of `texts`, in order, which take their next guess from them.
void DraftModel::guess(std::span<const Drafting> texts, std::span<const Feed> feeds) {
  const StepLogits logits = session_.step(feeds, 1);
  for (size_t i = 0; i < texts.size(); ++i) {
    texts[i].request->draft.push_back(logits.rows(i, 1).most_likely().token);
  }
}

}  // namespace yiti
