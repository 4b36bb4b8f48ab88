#include "training/schedule.h"

#include <gtest/gtest.h>

#include <array>

#include "core/error.h"

namespace yiti {
namespace {

constexpr std::array<int64_t, 7> kSteps = {0, 1, 3, 4, 10, 19, 20};

// Expected values: transformers 5.23 with torch's SGD, lr 1e-3, 4 warm-up steps of 20.
void expect_rates(const ScheduleOptions& options, const std::array<double, 7>& expected) {
  const Schedule schedule(options);
  for (size_t i = 0; i < kSteps.size(); ++i) {
    EXPECT_NEAR(schedule.at(kSteps[i]), expected[i], 1e-15) << "step " << kSteps[i];
  }
}

ScheduleOptions options_of(ScheduleKind kind) {
  return {.kind = kind, .lr = 1e-3, .total_steps = 20, .warmup_steps = 4};
}

TEST(Schedule, ConstantMatchesTransformers) {
  expect_rates(options_of(ScheduleKind::kConstant), {0, 2.5e-4, 7.5e-4, 1e-3, 1e-3, 1e-3, 1e-3});
}

TEST(Schedule, LinearMatchesTransformers) {
  expect_rates(options_of(ScheduleKind::kLinear), {0, 2.5e-4, 7.5e-4, 1e-3, 6.25e-4, 6.25e-5, 0});
}

TEST(Schedule, LinearWithoutWarmUpBeginsAtThePeak) {
  ScheduleOptions options = options_of(ScheduleKind::kLinear);
  options.warmup_steps = 0;
  expect_rates(options, {1e-3, 9.5e-4, 8.5e-4, 8e-4, 5e-4, 5e-5, 0});
}

TEST(Schedule, CosineMatchesTransformers) {
  expect_rates(options_of(ScheduleKind::kCosine),
               {0, 2.5e-4, 7.5e-4, 1e-3, 0.000691341716182545, 9.607359798384786e-06, 0});
}

TEST(Schedule, CosineWithMinimumMatchesTransformers) {
  ScheduleOptions options = options_of(ScheduleKind::kCosine);
  options.min_lr = 1e-4;
  expect_rates(options,
               {0, 2.5e-4, 7.5e-4, 1e-3, 0.0007222075445642904, 0.00010864662381854631, 1e-4});
}

TEST(Schedule, KeepsTheLastRateAfterTheEnd) {
  ScheduleOptions options = options_of(ScheduleKind::kCosine);
  options.min_lr = 1e-4;
  EXPECT_EQ(Schedule(options).at(1000), 1e-4);
}

TEST(Schedule, RoundsTheWarmUpRatioUp) {
  ScheduleOptions options = options_of(ScheduleKind::kLinear);
  options.warmup_steps = 0;
  options.warmup_ratio = 0.12;
  EXPECT_EQ(Schedule(options).warmup_steps(), 3);
}

TEST(Schedule, RejectsWhatMakesNoSense) {
  EXPECT_THROW(Schedule({.lr = -1, .total_steps = 1}), Error);
  EXPECT_THROW(Schedule({.lr = 1e-3, .min_lr = 1, .total_steps = 1}), Error);
  EXPECT_THROW(Schedule({.kind = ScheduleKind::kLinear, .total_steps = 0}), Error);
  EXPECT_THROW(Schedule({.total_steps = 9, .warmup_ratio = 2}), Error);
  EXPECT_THROW(Schedule({.total_steps = 9}).at(-1), Error);
}

TEST(Schedule, NamesGoBothWays) {
  for (const char* name : {"constant", "linear", "cosine"}) {
    EXPECT_EQ(schedule_name(parse_schedule(name)), name);
  }
  EXPECT_THROW(parse_schedule("step"), Error);
}

}  // namespace
}  // namespace yiti
