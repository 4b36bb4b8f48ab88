#include "training/data/packing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace yiti {
namespace {

constexpr std::string_view kWhere = "packing";

/// What the draws are for: each purpose has its own stream in every epoch.
enum class Purpose : uint64_t { kExamples, kBatches, kSplit };
constexpr uint64_t kPurposes = 3;

/// Sorts by one draw for each place: a uniform shuffle, since 64-bit draws practically never tie.
template <class T>
void shuffle(std::vector<T>& items, uint64_t seed, Purpose purpose, int64_t epoch) {
  const uint64_t stream = static_cast<uint64_t>(epoch) * kPurposes + static_cast<uint64_t>(purpose);
  std::vector<std::pair<uint64_t, size_t>> keys(items.size());
  for (size_t i = 0; i < items.size(); ++i) keys[i] = {random_bits({seed, stream}, i), i};
  std::sort(keys.begin(), keys.end());
  std::vector<T> shuffled;
  shuffled.reserve(items.size());
  for (const auto& [key, from] : keys) shuffled.push_back(std::move(items[from]));
  items = std::move(shuffled);
}

/// Appends the batches of one window: each example, longest first, goes into the first batch with
/// room for it.
void pack_window(std::span<const int64_t> window, const std::vector<Example>& examples,
                 const PackingOptions& options, EpochPlan& plan) {
  const auto length = [&](int64_t index) {
    return static_cast<int64_t>(examples[static_cast<size_t>(index)].tokens.size());
  };
  std::vector<int64_t> order(window.begin(), window.end());
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return length(a) > length(b); });
  const size_t first = plan.size();
  std::vector<int64_t> room;
  for (const int64_t index : order) {
    const auto fits =
        std::find_if(room.begin(), room.end(), [&](int64_t left) { return left >= length(index); });
    const auto at = static_cast<size_t>(fits - room.begin());
    if (fits == room.end()) {
      room.push_back(options.batch_tokens);
      plan.emplace_back();
    }
    std::vector<int64_t>& batch = plan[first + at];
    batch.push_back(index);
    room[at] -= length(index);
    if (std::cmp_equal(batch.size(), options.max_documents)) room[at] = 0;
  }
}

}  // namespace

Batch make_batch(std::span<const Example* const> examples) {
  Batch batch;
  for (const Example* example : examples) {
    const size_t length = example->tokens.size();
    batch.tokens.insert(batch.tokens.end(), example->tokens.begin(), example->tokens.end());
    for (size_t i = 0; i < length; ++i) {
      batch.positions.push_back(static_cast<int32_t>(i));
      const bool counts = i + 1 < length && example->trained[i + 1];
      batch.labels.push_back(counts ? example->tokens[i + 1] : kIgnoredLabel);
      batch.trained_tokens += counts;
    }
    ++batch.documents;
  }
  return batch;
}

PackedData::PackedData(std::vector<Example> examples, const PackingOptions& options)
    : examples_(std::move(examples)), options_(options) {
  check(!examples_.empty(), kWhere, "got no examples; wants at least one");
  check(options.max_documents >= 0, kWhere, "max_documents is {}; wants 0 or more",
        options.max_documents);
  check(options.window > 0, kWhere, "window is {}; wants 1 or more examples", options.window);
  for (const Example& example : examples_) {
    check(std::cmp_less_equal(example.tokens.size(), options.batch_tokens), kWhere,
          "the example of line {} has {} tokens; wants at most batch_tokens, {}", example.line,
          example.tokens.size(), options.batch_tokens);
    check(!example.tokens.empty() && example.tokens.size() == example.trained.size(), kWhere,
          "the example of line {} has {} tokens and {} mask entries; wants as many, and some",
          example.line, example.tokens.size(), example.trained.size());
  }
}

EpochPlan PackedData::plan(int64_t epoch) const {
  check(epoch >= 0, kWhere, "epoch is {}; wants 0 or more", epoch);
  std::vector<int64_t> order(examples_.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  if (options_.shuffle) shuffle(order, options_.seed, Purpose::kExamples, epoch);
  EpochPlan plan;
  const auto window = static_cast<size_t>(options_.window);
  for (size_t at = 0; at < order.size(); at += window) {
    const std::span<const int64_t> rest = std::span(order).subspan(at);
    pack_window(rest.first(std::min(window, rest.size())), examples_, options_, plan);
  }
  if (options_.shuffle) shuffle(plan, options_.seed, Purpose::kBatches, epoch);
  return plan;
}

Batch PackedData::batch(const EpochPlan& plan, int64_t index) const {
  if (index < 0 || std::cmp_greater_equal(index, plan.size())) {
    fail(Code::kOutOfRange, kWhere, "got batch {}; the epoch has {}", index, plan.size());
  }
  std::vector<const Example*> members;
  for (const int64_t member : plan[static_cast<size_t>(index)]) {
    members.push_back(&examples_.at(static_cast<size_t>(member)));
  }
  return make_batch(members);
}

BatchStream::BatchStream(std::shared_ptr<const PackedData> data, DataPosition position)
    : data_(std::move(data)), position_(position), plan_(data_->plan(position.epoch)) {
  if (position.index < 0 || std::cmp_greater_equal(position.index, plan_.size())) {
    fail(Code::kOutOfRange, kWhere,
         "got batch {} of epoch {}, which has {}; is it another dataset?", position.index,
         position.epoch, plan_.size());
  }
}

Batch BatchStream::next() {
  Batch batch = data_->batch(plan_, position_.index);
  if (std::cmp_greater_equal(++position_.index, plan_.size())) {
    position_ = {position_.epoch + 1, 0};
    plan_ = data_->plan(position_.epoch);
  }
  return batch;
}

Split split_rows(std::vector<DataRow> rows, double fraction, uint64_t seed) {
  check(fraction >= 0 && fraction < 1, kWhere, "the evaluation fraction is {}; wants 0 to below 1",
        fraction);
  if (fraction == 0) return {std::move(rows), {}};
  const auto count = static_cast<int64_t>(rows.size());
  check(count >= 2, kWhere, "{} row cannot be split; wants at least 2, or a file for evaluation",
        count);
  const auto wanted = static_cast<int64_t>(std::llround(fraction * static_cast<double>(count)));
  const int64_t eval_count = std::clamp<int64_t>(wanted, 1, count - 1);
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  shuffle(order, seed, Purpose::kSplit, 0);
  std::vector<bool> chosen(rows.size());
  for (int64_t i = 0; i < eval_count; ++i) chosen[order[static_cast<size_t>(i)]] = true;
  Split split;
  for (size_t i = 0; i < rows.size(); ++i) {
    (chosen[i] ? split.eval : split.train).push_back(std::move(rows[i]));
  }
  return split;
}

}  // namespace yiti
