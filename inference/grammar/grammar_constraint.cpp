#include "inference/grammar/grammar_constraint.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "core/error.h"
#include "inference/grammar/grammar_automaton.h"

namespace yiti {
namespace {

using State = GrammarAutomaton::State;

constexpr size_t kMaxStatesKept = 4096;
constexpr size_t kMaxMasksKept = 1024;

struct Rules {
  std::shared_ptr<const Grammar> grammar;
  Tokenizer tokenizer;
  std::vector<int32_t> stop_tokens;  // ascending
};

class GrammarMatcher final : public TokenMatcher {
 public:
  explicit GrammarMatcher(std::shared_ptr<const Rules> rules)
      : rules_(std::move(rules)),
        automaton_(rules_->grammar),
        state_(automaton_.start()),
        path_(static_cast<size_t>(rules_->tokenizer.trie().depth()) + 1) {}

  void mask(std::span<float> logits) override {
    const std::vector<bool>& allowed = allowed_tokens();
    bool any = false;
    for (size_t token = 0; token < logits.size(); ++token) {
      if (token < allowed.size() && allowed[token]) {
        any = true;
      } else {
        logits[token] = -std::numeric_limits<float>::infinity();
      }
    }
    if (!any) {
      fail(Code::kFailedPrecondition, "grammar",
           "no token of the vocabulary goes on with the text");
    }
  }

  void accept(int32_t token) override {
    if (is_stop(token)) {
      ended_ = true;
      return;
    }
    for (const char byte : rules_->tokenizer.token_piece(token)) {
      state_ = automaton_.next(state_, static_cast<uint8_t>(byte));
    }
    check(state_ != GrammarAutomaton::kDead, "grammar", "token {} is not allowed here", token);
    if (automaton_.states() > kMaxStatesKept) {
      state_ = automaton_.forget_others(state_);
      masks_.clear();
    }
  }

  bool complete() const override {
    return ended_ || state_ == GrammarAutomaton::kDead || automaton_.is_final(state_);
  }

 private:
  bool is_stop(int32_t token) const {
    return std::binary_search(rules_->stop_tokens.begin(), rules_->stop_tokens.end(), token);
  }

  const std::vector<bool>& allowed_tokens() {
    const auto known = masks_.find(state_);
    if (known != masks_.end()) return known->second;
    if (masks_.size() >= kMaxMasksKept) masks_.clear();
    std::vector<bool> allowed(static_cast<size_t>(rules_->tokenizer.vocab_size()));
    walk(allowed);
    const bool may_end = state_ != GrammarAutomaton::kDead && automaton_.accepts(state_);
    for (const int32_t token : rules_->stop_tokens) {
      const auto id = static_cast<size_t>(token);
      if (id < allowed.size()) allowed[id] = may_end;
    }
    return masks_.emplace(state_, std::move(allowed)).first->second;
  }

  // All tokens along which the automaton lives.
  void walk(std::vector<bool>& allowed) {
    const TokenTrie& trie = rules_->tokenizer.trie();
    const std::span<const TokenTrie::Node> nodes = trie.nodes();
    path_[0] = state_;
    for (size_t i = 0; i < nodes.size();) {
      const TokenTrie::Node& node = nodes[i];
      const auto depth = static_cast<size_t>(node.depth);
      const State state = automaton_.next(path_[depth - 1], node.byte);
      if (state == GrammarAutomaton::kDead) {
        i = static_cast<size_t>(node.end);
        continue;
      }
      path_[depth] = state;
      for (const int32_t token : trie.tokens(i)) allowed[static_cast<size_t>(token)] = true;
      ++i;
    }
  }

  std::shared_ptr<const Rules> rules_;
  GrammarAutomaton automaton_;
  State state_;
  std::vector<State> path_;  // the states along the walk, by depth
  std::unordered_map<State, std::vector<bool>> masks_;
  bool ended_ = false;
};

class GrammarConstraint final : public TokenConstraint {
 public:
  explicit GrammarConstraint(Rules rules)
      : rules_(std::make_shared<const Rules>(std::move(rules))) {}
  std::unique_ptr<TokenMatcher> begin() const override {
    return std::make_unique<GrammarMatcher>(rules_);
  }

 private:
  std::shared_ptr<const Rules> rules_;
};

}  // namespace

std::shared_ptr<const TokenConstraint> constrain(Grammar grammar, Tokenizer tokenizer,
                                                 std::vector<int32_t> stop_tokens) {
  std::sort(stop_tokens.begin(), stop_tokens.end());
  return std::make_shared<GrammarConstraint>(
      Rules{.grammar = std::make_shared<const Grammar>(std::move(grammar)),
            .tokenizer = std::move(tokenizer),
            .stop_tokens = std::move(stop_tokens)});
}

}  // namespace yiti
