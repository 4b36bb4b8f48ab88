#include "core/share_window.h"

#include <gtest/gtest.h>

namespace yiti {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST(ShareWindow, GrowsWithContendedTimeOnly) {
  ShareWindow window(2);
  EXPECT_EQ(window.left_ns(0.25, 100 * kMs), 0);
  window.set_contended(true, 300 * kMs);
  EXPECT_EQ(window.left_ns(0.25, 300 * kMs), 0);
  EXPECT_EQ(window.left_ns(0.25, 340 * kMs), 20 * kMs);
  window.set_contended(false, 380 * kMs);
  EXPECT_EQ(window.left_ns(0.25, 500 * kMs), 40 * kMs);
  EXPECT_EQ(window.left_ns(0.5, 500 * kMs), 80 * kMs);
}

TEST(ShareWindow, WhatIsSpentCountsOnlyWhileThereAreRequests) {
  ShareWindow window(1);
  window.spend(900 * kMs, 10 * kMs);
  window.set_contended(true, 100 * kMs);
  window.spend(30 * kMs, 200 * kMs);
  EXPECT_EQ(window.left_ns(0.5, 200 * kMs), 20 * kMs);
  window.spend(50 * kMs, 200 * kMs);
  EXPECT_EQ(window.left_ns(0.5, 200 * kMs), -30 * kMs);
}

TEST(ShareWindow, ForgetsWhatIsASecondOld) {
  ShareWindow window(1);
  window.set_contended(true, 0);
  window.spend(200 * kMs, 10 * kMs);
  EXPECT_EQ(window.left_ns(0.25, 400 * kMs), -100 * kMs);
  EXPECT_EQ(window.left_ns(0.25, 1000 * kMs), 237'500'000);  // the first slot is gone
  EXPECT_EQ(window.left_ns(0.25, 20'000 * kMs), 237'500'000);
  window.set_contended(false, 20'000 * kMs);
  EXPECT_EQ(window.left_ns(0.25, 22'000 * kMs), 0);
}

}  // namespace
}  // namespace yiti
