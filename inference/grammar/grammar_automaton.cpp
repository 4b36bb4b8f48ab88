#include "inference/grammar/grammar_automaton.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "core/error.h"

namespace yiti {
namespace {

constexpr GrammarAutomaton::State kUnknown = -2;
constexpr int32_t kNone = -1;
constexpr size_t kMaxPlaces = 512;
constexpr size_t kMaxFrames = 1 << 20;
constexpr size_t kMaxStates = 1 << 13;

[[noreturn]] void refuse(std::string_view what, size_t most) {
  fail(Code::kResourceExhausted, "grammar", "it is too ambiguous: more than {} {}", most, what);
}

}  // namespace

GrammarAutomaton::GrammarAutomaton(std::shared_ptr<const Grammar> grammar)
    : grammar_(std::move(grammar)) {
  start_ = close({intern(grammar_->start(), kNone)});
}

int32_t GrammarAutomaton::intern(int32_t node, int32_t parent) {
  const uint64_t key =
      (uint64_t{static_cast<uint32_t>(node)} << 32) | static_cast<uint32_t>(parent);
  const auto [found, fresh] = frame_ids_.try_emplace(key, static_cast<int32_t>(frames_.size()));
  if (!fresh) return found->second;
  if (frames_.size() >= kMaxFrames) refuse("open rules", kMaxFrames);
  const int32_t depth = parent == kNone ? 0 : frames_[static_cast<size_t>(parent)].depth + 1;
  frames_.push_back({node, parent, depth});
  return found->second;
}

// The state of all frames that read a byte, among those that `open` leads to without one.
GrammarAutomaton::State GrammarAutomaton::close(std::vector<int32_t> open) {
  std::unordered_set<int32_t> seen(open.begin(), open.end());
  const auto go = [&](int32_t node, int32_t parent) {
    const int32_t frame = intern(node, parent);
    if (frames_[static_cast<size_t>(frame)].depth > kMaxDepth) return;
    if (seen.insert(frame).second) open.push_back(frame);
  };
  std::pair<std::vector<int32_t>, bool> key;
  while (!open.empty()) {
    if (seen.size() > kMaxPlaces) refuse("places at once", kMaxPlaces);
    const int32_t id = open.back();
    const Frame frame = frames_[static_cast<size_t>(id)];
    open.pop_back();
    if (frame.node == Grammar::kEnd) {
      if (frame.parent == kNone) {
        key.second = true;
      } else {
        const Frame above = frames_[static_cast<size_t>(frame.parent)];
        go(above.node, above.parent);
      }
      continue;
    }
    const Grammar::Node& node = grammar_->node(frame.node);
    if (!node.edges.empty()) key.first.push_back(id);
    for (const int32_t to : node.empty) go(to, frame.parent);
    // Nothing to come back to: the call takes this rule's place.
    const bool is_last = node.back == Grammar::kEnd;
    if (node.call >= 0) go(node.call, is_last ? frame.parent : intern(node.back, frame.parent));
  }
  if (key.first.empty() && !key.second) return kDead;
  std::sort(key.first.begin(), key.first.end());
  const auto [found, fresh] =
      state_ids_.try_emplace(std::move(key), static_cast<State>(states_.size()));
  if (!fresh) return found->second;
  if (states_.size() >= kMaxStates) refuse("states", kMaxStates);
  auto state = std::make_unique<StateData>();
  state->frames = found->first.first;
  state->accepts = found->first.second;
  state->next.fill(kUnknown);
  states_.push_back(std::move(state));
  return found->second;
}

GrammarAutomaton::State GrammarAutomaton::next(State state, uint8_t byte) {
  if (state == kDead) return kDead;
  StateData& from = *states_[static_cast<size_t>(state)];
  State& known = from.next[byte];
  if (known != kUnknown) return known;
  std::vector<int32_t> open;
  for (const int32_t id : from.frames) {
    const Frame frame = frames_[static_cast<size_t>(id)];
    for (const Grammar::Edge& edge : grammar_->node(frame.node).edges) {
      if (byte < edge.bytes.first || byte > edge.bytes.last) continue;
      open.push_back(intern(edge.to, frame.parent));
    }
  }
  known = open.empty() ? kDead : close(std::move(open));
  return known;
}

GrammarAutomaton::State GrammarAutomaton::forget_others(State kept) {
  const std::vector<Frame> old = std::exchange(frames_, {});
  const std::vector<int32_t> frames = at(kept).frames;
  const bool accepts = at(kept).accepts;
  frame_ids_.clear();
  states_.clear();
  state_ids_.clear();
  start_ = close({intern(grammar_->start(), kNone)});
  std::vector<int32_t> open;
  for (const int32_t id : frames) {
    std::vector<int32_t> path;  // from the innermost rule outwards
    for (int32_t f = id; f != kNone; f = old[static_cast<size_t>(f)].parent) {
      path.push_back(old[static_cast<size_t>(f)].node);
    }
    int32_t frame = kNone;
    for (size_t i = path.size(); i-- > 0;) frame = intern(path[i], frame);
    open.push_back(frame);
  }
  if (accepts) open.push_back(intern(Grammar::kEnd, kNone));
  return close(std::move(open));
}

}  // namespace yiti
