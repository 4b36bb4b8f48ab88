#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "training/data/packing.h"

namespace yiti {
namespace {

/// Examples of many lengths; all tokens after the first are trained.
std::vector<Example> many_examples(int count, int longest) {
  std::vector<Example> examples;
  for (int i = 0; i < count; ++i) {
    Example example;
    example.line = i + 1;
    const int length = 1 + (i * 37) % longest;
    for (int t = 0; t < length; ++t) example.tokens.push_back(i * 1000 + t);
    example.trained.assign(example.tokens.size(), 1);
    example.trained[0] = 0;
    examples.push_back(std::move(example));
  }
  return examples;
}

std::vector<int64_t> members(const EpochPlan& plan) {
  std::vector<int64_t> all;
  for (const auto& batch : plan) all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

TEST(Packing, LabelsAreTheNextTokenOfTheSameDocument) {
  const Example a{.tokens = {1, 2, 3}, .trained = {0, 0, 1}, .line = 1};
  const Example b{.tokens = {4, 5}, .trained = {0, 1}, .line = 2};
  const std::vector<const Example*> both = {&a, &b};
  const Batch batch = make_batch(both);
  EXPECT_EQ(batch.tokens, (std::vector<int32_t>{1, 2, 3, 4, 5}));
  EXPECT_EQ(batch.labels, (std::vector<int32_t>{-100, 3, -100, 5, -100}));
  EXPECT_EQ(batch.positions, (std::vector<int32_t>{0, 1, 2, 0, 1}));
  EXPECT_EQ(batch.documents, 2);
  EXPECT_EQ(batch.trained_tokens, 2);
}

TEST(Packing, FillsBatchesFirstFitDecreasing) {
  std::vector<Example> examples;
  for (const size_t length : {2u, 5u, 4u, 7u, 1u}) {
    examples.push_back({std::vector<int32_t>(length, 1), std::vector<uint8_t>(length, 1), 1});
  }
  const PackedData data(std::move(examples), {.batch_tokens = 10, .shuffle = false});
  EXPECT_EQ(data.plan(0), (EpochPlan{{3, 0, 4}, {1, 2}}));
}

TEST(Packing, PutsAtMostSoManyDocumentsInABatch) {
  const PackedData data(many_examples(50, 20),
                        {.batch_tokens = 128, .max_documents = 4, .window = 16, .seed = 3});
  const EpochPlan plan = data.plan(0);
  EXPECT_EQ(plan.size(), 13U);  // 48 examples in fours, and two
  for (const auto& batch : plan) EXPECT_LE(batch.size(), 4U);
  EXPECT_THROW(PackedData(many_examples(2, 2), {.batch_tokens = 8, .max_documents = -1}), Error);
}

TEST(Packing, HasEachExampleOnceInEveryEpoch) {
  const PackedData data(many_examples(100, 60), {.batch_tokens = 128, .window = 16, .seed = 3});
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    const EpochPlan plan = data.plan(epoch);
    std::vector<int64_t> all = members(plan), expected(100);
    std::sort(all.begin(), all.end());
    std::iota(expected.begin(), expected.end(), int64_t{0});
    EXPECT_EQ(all, expected);
    for (size_t i = 0; i < plan.size(); ++i) {
      EXPECT_LE(data.batch(plan, static_cast<int64_t>(i)).tokens.size(), 128u);
    }
  }
}

TEST(Packing, WastesLittle) {
  const PackedData data(many_examples(500, 100), {.batch_tokens = 512});
  const int64_t tokens = std::accumulate(
      data.examples().begin(), data.examples().end(), int64_t{0},
      [](int64_t sum, const Example& e) { return sum + static_cast<int64_t>(e.tokens.size()); });
  const auto batches = static_cast<int64_t>(data.plan(0).size());
  EXPECT_LE(batches, tokens / 512 + 2);
}

TEST(Packing, ShufflesBySeedAndEpoch) {
  const auto examples = many_examples(50, 60);
  const PackedData data(examples, {.batch_tokens = 128, .seed = 1});
  const PackedData same(examples, {.batch_tokens = 128, .seed = 1});
  const PackedData other(examples, {.batch_tokens = 128, .seed = 2});
  EXPECT_EQ(data.plan(4), same.plan(4));
  EXPECT_NE(data.plan(4), other.plan(4));
  EXPECT_NE(data.plan(4), data.plan(5));
}

TEST(Packing, AStreamContinuesFromAnyPosition) {
  const auto data = std::make_shared<const PackedData>(
      many_examples(30, 60), PackingOptions{.batch_tokens = 128, .seed = 5});
  BatchStream whole(data);
  for (int i = 0; i < 25; ++i) {
    BatchStream resumed(data, whole.position());
    const Batch expected = whole.next(), batch = resumed.next();
    EXPECT_EQ(batch.tokens, expected.tokens);
    EXPECT_EQ(batch.labels, expected.labels);
    EXPECT_EQ(resumed.position(), whole.position());
  }
  EXPECT_GT(whole.position().epoch, 0);
}

TEST(Packing, RefusesWhatCannotBePacked) {
  EXPECT_THROW(PackedData({}, {}), Error);
  EXPECT_THROW(PackedData(many_examples(9, 60), {.batch_tokens = 10}), Error);
  const auto data = std::make_shared<const PackedData>(many_examples(3, 9), PackingOptions{});
  EXPECT_THROW(BatchStream(data, {.epoch = 0, .index = 99}), Error);
}

std::vector<DataRow> numbered_rows(int64_t count) {
  std::vector<DataRow> rows(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) rows[static_cast<size_t>(i)].line = i + 1;
  return rows;
}

std::vector<int64_t> lines_of(const std::vector<DataRow>& rows) {
  std::vector<int64_t> lines;
  for (const DataRow& row : rows) lines.push_back(row.line);
  return lines;
}

TEST(Split, IsDeterministicDisjointAndInOrder) {
  const Split a = split_rows(numbered_rows(40), 0.25, 7),
              b = split_rows(numbered_rows(40), 0.25, 7);
  EXPECT_EQ(lines_of(a.eval), lines_of(b.eval));
  EXPECT_NE(lines_of(a.eval), lines_of(split_rows(numbered_rows(40), 0.25, 8).eval));
  EXPECT_EQ(a.eval.size(), 10u);
  std::vector<int64_t> all = lines_of(a.train);
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  for (const int64_t line : lines_of(a.eval)) all.push_back(line);
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, lines_of(numbered_rows(40)));
}

TEST(Split, GivesEachPartARow) {
  EXPECT_EQ(split_rows(numbered_rows(2), 0.01, 0).eval.size(), 1u);
  EXPECT_EQ(split_rows(numbered_rows(2), 0.99, 0).train.size(), 1u);
  EXPECT_TRUE(split_rows(numbered_rows(2), 0, 0).eval.empty());
  EXPECT_THROW(split_rows(numbered_rows(1), 0.5, 0), Error);
  EXPECT_THROW(split_rows(numbered_rows(9), 1, 0), Error);
}

}  // namespace
}  // namespace yiti
