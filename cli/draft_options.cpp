#include "cli/draft_options.h"

#include "core/error.h"
#include "inference/draft_model.h"
#include "inference/prompt_lookup.h"

namespace yiti::cli {
namespace {

void check_same_tokens(const LoadedModel& draft, const LoadedModel& loaded) {
  const Tokenizer& got = text_of(draft).tokenizer;
  const Tokenizer& wanted = text_of(loaded).tokenizer;
  const int64_t size = wanted.vocab_size();
  check(got.vocab_size() == size, "--speculate", "{} has {} tokens; wants the model's {}",
        draft.name, got.vocab_size(), size);
  for (int32_t token = 0; token < size; ++token) {
    check(got.token_piece(token) == wanted.token_piece(token), "--speculate",
          "token {} of {} is \"{}\"; wants the model's \"{}\"", token, draft.name,
          got.token_piece(token), wanted.token_piece(token));
  }
}

}  // namespace

void DraftOptions::add(CLI::App& command) {
  command
      .add_option(
          "--speculate", source,
          "Guess tokens ahead, which changes no answer: 'prompt' from the text itself, or by "
          "a smaller model with the same tokens (a GGUF file or a folder)")
      ->group("Speculation");
  command
      .add_option("--draft-rows", rows,
                  "Tokens of a step's decoding requests and their guesses together, at most")
      ->check(CLI::Range(2, 512))
      ->capture_default_str()
      ->group("Speculation");
}

void DraftOptions::apply(const ModelOptions& model, const LoadedModel& loaded,
                         SchedulerOptions& options) const {
  options.draft_rows = rows;
  if (source.empty()) return;
  if (source == "prompt") {
    options.drafter = std::make_shared<PromptLookup>();
    return;
  }
  const LoadedModel draft =
      load_model(source, loaded.model->device(), model.load_options()).value();
  check_same_tokens(draft, loaded);
  LanguageSessionOptions session = options.session;
  session.block_store = nullptr;
  options.drafter =
      std::make_shared<DraftModel>(draft.model, loaded.model->config().vocab_size, session);
}

}  // namespace yiti::cli
