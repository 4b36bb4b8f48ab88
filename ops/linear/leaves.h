// How a reduction over K is cut: the one order of additions that every matrix product follows.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <numeric>

namespace yiti {

/// K cut into leaves [starts[i], starts[i + 1]). Each output element is one chain of fused
/// multiply-adds in ascending k per leaf; the leaves are added in a fixed binary tree:
/// ((l0 + l1) + (l2 + l3)) + … There are 1, 2, 4 or 8.
struct LeafPlan {
  static constexpr int kMaxLeaves = 8;
  /// Each has at least this many elements: ends of leaves cost time.
  static constexpr int64_t kLeastElements = 128;
  int count = 0;
  std::array<int64_t, kMaxLeaves + 1> starts{};
};

/// The leaves of a reduction of length `k`: a pure function of its arguments, so that batch, tiles
/// and threads cannot change a bit. Leaves are whole units of lcm(32, leaf_unit) elements where
/// that divides k, else of 32; `leaf_unit` is a head size, or 0. A rank that holds 1/s of K by
/// whole leaves computes the same subtree with `max_leaves` = 8 / s.
inline LeafPlan plan_leaves(int64_t k, int64_t leaf_unit = 0,
                            int64_t max_leaves = LeafPlan::kMaxLeaves) {
  constexpr int64_t kUnit = 32;
  int64_t unit = kUnit;
  if (leaf_unit > 0 && leaf_unit <= k) {
    const int64_t heads = std::lcm(kUnit, leaf_unit);
    if (k % heads == 0) unit = heads;
  }
  const int64_t units = (k + unit - 1) / unit;
  LeafPlan plan;
  const int64_t most = std::min({units, max_leaves, int64_t{LeafPlan::kMaxLeaves},
                                 std::max<int64_t>(1, k / LeafPlan::kLeastElements)});
  plan.count = static_cast<int>(std::bit_floor(static_cast<uint64_t>(most)));
  for (int i = 0; i < plan.count; ++i) {
    plan.starts[static_cast<size_t>(i) + 1] = std::min(k, (i + 1) * units / plan.count * unit);
  }
  return plan;
}

}  // namespace yiti
