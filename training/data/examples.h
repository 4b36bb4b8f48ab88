// Rows of training data as tokens, with the tokens that the loss counts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/text/text_model.h"
#include "training/data/jsonl.h"

namespace yiti {

/// One document. Token i is a target of the loss where trained[i] is 1, predicted from those before
/// it; so trained[0] is always 0.
struct Example {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> trained;
  int64_t line = 0;  ///< of the row it came from

  int64_t trained_tokens() const;
};

/// What happens to an example longer than max_tokens.
enum class OverLength : uint8_t {
  kTruncate,  ///< its end is cut off; the report counts it
  kReject,    ///< an error, naming the lines
};

struct ExampleOptions {
  /// The loss also counts what is not the assistant's (chat) or the completion's. Messages of
  /// weight 0 stay out.
  bool train_on_prompt = false;
  int64_t max_tokens = 0;      ///< of one example; 0: context_tokens
  int64_t context_tokens = 0;  ///< the model's limit; 0: none
  OverLength over_length = OverLength::kTruncate;
  /// The token that a caller fills batches with outside of yiti. Packed batches have no padding, so
  /// the default is none, and a pad token equal to EOS (as SmolLM2's) is harmless.
  int32_t pad_token = -1;
};

struct ExampleSet {
  std::vector<Example> examples;
  int64_t tokens = 0;
  int64_t trained_tokens = 0;
  int64_t truncated = 0;  ///< examples that lost their end
  int64_t skipped = 0;    ///< rows left without a token to train, and so left out
  /// What a person should know before training, one sentence each.
  std::vector<std::string> notes;
};

/// A row's tokens and mask, whole. Chat: the model's template; the loss counts the assistant's
/// content and what ends its turn. Completion: prompt and completion encoded each on its own, as
/// in generation; the loss counts the completion and EOS. Text: everything, and EOS. Special tokens
/// in completion and text rows are recognised. Throws kFailedPrecondition where a chat row meets a
/// model without template or a weight cannot be told apart in the rendered text, and the
/// template's own errors.
Example make_example(const DataRow& row, const TextModel& text, bool train_on_prompt = false);

/// All rows as examples, in order, checked. Throws kInvalidArgument, naming the lines, for a
/// doubled BOS, for an example that is too long under kReject, when nothing would be trained, when
/// max_tokens exceeds the context, and when pad_token is a trained end-of-text token.
ExampleSet make_examples(std::span<const DataRow> rows, const TextModel& text,
                         const ExampleOptions& options = {});

}  // namespace yiti
