// Examples packed into batches without padding, in an order that follows from seed and epoch alone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ops/loss/cross_entropy.h"
#include "training/data/examples.h"

namespace yiti {

/// Documents one after the other in one axis of T tokens.
struct Batch {
  std::vector<int32_t> tokens;     ///< [T]
  std::vector<int32_t> labels;     ///< [T]: the next token of the same document, or kIgnoredLabel
  std::vector<int32_t> positions;  ///< [T]: from 0 in each document
  int64_t documents = 0;
  int64_t trained_tokens = 0;  ///< labels that are not ignored
};

/// `examples` one after the other as one batch.
Batch make_batch(std::span<const Example* const> examples);

struct PackingOptions {
  int64_t batch_tokens = 2048;  ///< the most in one batch
  int64_t max_documents = 0;    ///< in one batch; 0: any number
  int64_t window = 512;         ///< examples packed together: more waste less and mix less
  uint64_t seed = 0;
  bool shuffle = true;  ///< false: file order, as for evaluation
};

/// Which examples make each batch of an epoch.
using EpochPlan = std::vector<std::vector<int64_t>>;

/// Examples in batches: every example once an epoch. An epoch shuffles the examples, packs each
/// window of them first-fit decreasing (Johnson 1973), and shuffles the batches; the draws are
/// counter-based, so that any epoch is planned without the ones before it. Immutable, thread-safe.
class PackedData {
 public:
  /// Throws kInvalidArgument where there is no example or one is longer than batch_tokens.
  PackedData(std::vector<Example> examples, const PackingOptions& options);

  EpochPlan plan(int64_t epoch) const;
  Batch batch(const EpochPlan& plan, int64_t index) const;
  const std::vector<Example>& examples() const { return examples_; }

 private:
  std::vector<Example> examples_;
  PackingOptions options_;
};

/// A place in the stream of batches: all that a checkpoint has to keep.
struct DataPosition {
  int64_t epoch = 0;
  int64_t index = 0;  ///< of the batch in the epoch
  friend bool operator==(const DataPosition&, const DataPosition&) = default;
};

/// Batches epoch after epoch, without end, from any position. One thread at a time.
class BatchStream {
 public:
  /// Throws kOutOfRange where the epoch has no batch at position.index.
  explicit BatchStream(std::shared_ptr<const PackedData> data, DataPosition position = {});

  /// The batch at position(), which then moves on.
  Batch next();
  DataPosition position() const { return position_; }
  /// Batches of the epoch that position() is in.
  int64_t epoch_batches() const { return static_cast<int64_t>(plan_.size()); }

 private:
  std::shared_ptr<const PackedData> data_;
  DataPosition position_;
  EpochPlan plan_;
};

struct Split {
  std::vector<DataRow> train, eval;
};

/// Sets the given fraction of the rows aside for evaluation, chosen by `seed` alone; both parts
/// keep the order of the file. A fraction above 0 gives each part at least one row. Throws
/// kInvalidArgument for a fraction outside [0, 1) or too few rows.
Split split_rows(std::vector<DataRow> rows, double fraction, uint64_t seed);

}  // namespace yiti
