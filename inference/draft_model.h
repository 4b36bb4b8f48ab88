// Drafting by a smaller model.
#pragma once

#include <optional>
#include <unordered_map>

#include "inference/drafter.h"
#include "inference/language_session.h"

namespace yiti {

/// Guesses the tokens that a model of its own finds most likely. The texts of a call run together,
/// in a session whose cache holds them from call to call; one that begins with many new tokens is
/// read over several calls and gets no guess meanwhile. Nor does one that is longer than the
/// session's context, or finds no memory.
class DraftModel final : public Drafter {
 public:
  /// Throws kInvalidArgument unless `model` has `vocab_size` tokens: those of the model that checks
  /// the guesses, with the same meaning.
  DraftModel(ModelPtr model, int64_t vocab_size, const LanguageSessionOptions& options);

  void draft(std::span<DraftRequest> requests) override;
  void end(uint64_t text) override;

 private:
  struct Text {
    SequenceId sequence;
    std::vector<int32_t> fed;  // what the sequence holds: a text's beginning, then guesses
  };
  struct Drafting {
    DraftRequest* request;
    Text* text;
  };

  std::optional<Drafting> prepare(DraftRequest& request);
  std::vector<Drafting> catch_up(std::vector<Drafting> texts);
  void guess(std::span<const Drafting> texts, std::span<const Feed> feeds);

  LanguageSession session_;
  std::unordered_map<uint64_t, Text> texts_;
};

}  // namespace yiti
