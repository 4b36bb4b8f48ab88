// A model made ready for inference: its stripped, fused and planned program over a paged KV cache.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "inference/block_store.h"
#include "inference/kv_cache.h"
#include "inference/session.h"
#include "inference/step_logits.h"
#include "models/language_model.h"

namespace yiti {

struct LanguageSessionOptions {
  int64_t max_tokens = 8192;       ///< of all sequences together, in the KV cache
  int64_t max_sequences = 16;      ///< at once
  int64_t max_batch_tokens = 512;  ///< in one step: a longer prefill is cut into chunks
  int64_t context_length = 0;      ///< of one sequence; 0: the model's, at most max_tokens
  /// Full blocks of the cache stay known, so that a sequence that begins alike takes them over.
  bool prefix_cache = true;
  /// Where full blocks are kept beyond the cache and this process; several sessions may share it.
  std::shared_ptr<BlockStore> block_store = nullptr;
  PassOptions passes = {};
};

/// A sequence's place in a session.
struct SequenceId {
  int32_t slot = -1;
};

/// Tokens to append to a sequence in a step.
struct Feed {
  SequenceId sequence;
  std::span<const int32_t> tokens;
  bool all_logits = false;  ///< of every token, else of the last one
  bool no_logits = false;   ///< of none: a chunk of a prompt that goes on
  bool hidden = false;      ///< the last hidden states, of every token
  int64_t drafted = 0;      ///< of the last tokens, guesses: keep() tells how many of them stay
};

/// Sequences share the session's steps and memory; each pins one parameter version. The logits of a
/// token depend on its sequence and version alone, whatever else is in a step. One thread at a
/// time; several sessions of one model may run in several threads.
class LanguageSession {
 public:
  /// Captures and prepares the program. Several sessions may share a `cache`, in one thread at a
  /// time; null: one of its own, for max_tokens. Throws kInvalidArgument for options that make no
  /// sense.
  explicit LanguageSession(ModelPtr model, const LanguageSessionOptions& options = {},
                           std::shared_ptr<KvCache> cache = nullptr);
  ~LanguageSession();

  /// A new, empty sequence on `version`, or the model's current one. Room for `reserve_tokens` is
  /// taken at once. The version may be of another model that runs the same program. Throws
  /// kResourceExhausted when there is no free slot or block.
  SequenceId open(int64_t reserve_tokens = 0, VersionPtr version = nullptr);
  /// The same for a sequence that will begin with `prompt`: what the cache still holds of it is
  /// taken over in whole blocks, all but the last token at most, with the bits that computing it
  /// again would have. length() says how much it was; go on with what follows. Sequences of
  /// different owners take over nothing from each other.
  SequenceId open_with_prompt(std::span<const int32_t> prompt, int64_t reserve_tokens = 0,
                              VersionPtr version = nullptr, std::string_view owner = {});
  void close(SequenceId sequence);
  /// Whether open(reserve_tokens) would succeed.
  bool can_open(int64_t reserve_tokens) const;
  int64_t length(SequenceId sequence) const;
  const VersionPtr& version(SequenceId sequence) const;

  /// Appends tokens and gives logits [rows, vocab] of the tokens asked for, in order; valid until
  /// the next step. Feeds whose sequences pin one version should follow one another: what differs
  /// between versions, such as adapters, then runs once for each, and all else once for all. A
  /// sequence may occur once, and together the feeds have at most max_batch_tokens. Throws
  /// kOutOfRange past the context length, kResourceExhausted when the cache is full; the sequences
  /// are then unchanged.
  std::span<const float> step(std::span<const Feed> feeds);
  /// The same where the `best` largest of each row are enough (0: all are wanted). No more than
  /// those are copied from a device whose memory the host does not read and that finds them itself;
  /// others, and rows with a NaN, give all.
  StepLogits step(std::span<const Feed> feeds, int64_t best);
  /// Ends a sequence's draft: the first `length` tokens of the sequence stay, the guesses behind
  /// them are taken back. Throws kInvalidArgument where that would take back anything else.
  void keep(SequenceId sequence, int64_t length);
  /// The last step's hidden states [rows, hidden_size] of the feeds that asked for them, in order;
  /// valid until the next step.
  std::span<const float> hidden() const;
  /// Appends any number of tokens in chunks; logits of the last one [vocab].
  std::span<const float> prefill(SequenceId sequence, std::span<const int32_t> tokens);
  /// Appends one token; its logits [vocab].
  std::span<const float> decode(SequenceId sequence, int32_t token);

  int64_t context_length() const { return context_length_; }
  int64_t vocab_size() const { return model_->config().vocab_size; }
  const LanguageSessionOptions& options() const { return options_; }
  const ModelPtr& model() const { return model_; }
  const Session& program_session() const { return *session_; }
  const KvCache& cache() const { return *cache_; }
  const std::shared_ptr<KvCache>& shared_cache() const { return cache_; }
  /// What the passes did, and the memory that the session takes.
  std::string explain() const;

 private:
  /// How many rows of each of the program's symbols the feeds of a version have.
  using Rows = std::array<int64_t, 3>;
  struct Sequence {
    bool open = false;
    int64_t length = 0;
    std::vector<int32_t> blocks;
    VersionPtr version;
    int64_t certain = 0;          // of length: what follows is a draft
    BlockKey prefix;              // of all blocks that were remembered
    std::vector<int32_t> recent;  // tokens behind those blocks
  };

  Sequence& at(SequenceId sequence);
  const Sequence& at(SequenceId sequence) const;
  void check_feeds(std::span<const Feed> feeds) const;
  void reserve(Sequence& sequence, int32_t slot, int64_t tokens);
  void put_block(Sequence& sequence, int32_t slot, int32_t block);
  BlockKey empty_prefix(const Sequence& sequence, std::string_view owner) const;
  void take_over(Sequence& sequence, int32_t slot, std::span<const int32_t> prompt);
  int32_t find_block(const BlockKey& key);
  int32_t load_block(const BlockKey& key);
  void run(std::span<const Feed> feeds);
  bool copy_best(int64_t count);
  void append(Sequence& sequence, const Feed& feed);
  void settle(Sequence& sequence, int64_t length);
  void remember_block(Sequence& sequence);
  void note_speed(int64_t tokens, double taken_s);
  void gather_parts(std::span<const Feed> feeds);
  void forget_versions();

  ModelPtr model_;
  LanguageSessionOptions options_;
  int64_t context_length_;
  std::shared_ptr<KvCache> cache_;
  std::unique_ptr<Session> session_;
  std::vector<Sequence> sequences_;
  double token_s_ = 0;  // of a prompt's token, lately; 0: not known
  int64_t hidden_rows_ = 0;
  Tensor logits_, hidden_;        // of the last step, on the host
  std::vector<TokenLogit> best_;  // of its rows, instead of logits_
  std::map<const ParameterVersion*, std::weak_ptr<const ParameterVersion>> versions_;  // that ran
  std::vector<Rows> part_rows_;  // of the step under way
  std::vector<RunPart> parts_;
};

/// Captures `model`'s forward as a session runs it, before any pass.
Program capture_session(const LanguageModel& model, const KvCache& cache,
                        const LanguageSessionOptions& options, int64_t context_length);

}  // namespace yiti
