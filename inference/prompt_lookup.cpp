#include "inference/prompt_lookup.h"

#include <algorithm>
#include <utility>

namespace yiti {
namespace {

// Fewer equal tokens say little; more are not counted.
constexpr size_t kShortest = 2, kLongest = 16;

// How many of the last tokens are also the last ones before `end`.
size_t matched(std::span<const int32_t> tokens, size_t end) {
  const size_t most = std::min(end, kLongest);
  size_t count = 0;
  while (count < most && tokens[end - 1 - count] == tokens[tokens.size() - 1 - count]) ++count;
  return count;
}

}  // namespace

void PromptLookup::draft(std::span<DraftRequest> requests) {
  for (DraftRequest& request : requests) {
    const std::span<const int32_t> tokens = request.tokens;
    size_t best = kShortest - 1, from = 0;
    for (size_t end = tokens.size() - 1; end >= kShortest && best < kLongest; --end) {
      const size_t count = matched(tokens, end);
      if (count > best) {
        best = count;
        from = end;
      }
    }
    if (from == 0) continue;
    for (size_t i = from; std::cmp_less(request.draft.size(), request.wanted); ++i) {
      // Behind the end, a text that repeats itself goes on with its own draft.
      request.draft.push_back(i < tokens.size() ? tokens[i] : request.draft[i - tokens.size()]);
    }
  }
}

}  // namespace yiti
