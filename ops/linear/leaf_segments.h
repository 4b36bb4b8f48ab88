// A leaf plan as the kernels walk it.
#pragma once

#include <bit>

#include "ops/kernels/cpu/gemm.h"
#include "ops/linear/leaves.h"

namespace yiti {

/// The parts of leaves within steps [k0, k1) of the plan.
struct SegmentList {
  std::array<cpu::LeafSegment, LeafPlan::kMaxLeaves> items;
  int count = 0;

  SegmentList(const LeafPlan& plan, int64_t k0, int64_t k1) {
    for (int i = 0; i < plan.count; ++i) {
      const int64_t start = plan.starts[static_cast<size_t>(i)];
      const int64_t stop = plan.starts[static_cast<size_t>(i) + 1];
      const int64_t from = std::max(start, k0), to = std::min(stop, k1);
      if (from >= to) continue;
      const auto index = static_cast<unsigned>(i);
      const bool ends = to == stop, last = i == plan.count - 1;
      const int depth = std::popcount(index);
      items[static_cast<size_t>(count++)] = {.length = static_cast<int32_t>(to - from),
                                             .depth = depth,
                                             .merges = last ? depth : std::countr_one(index),
                                             .resumes = from > start,
                                             .ends_leaf = ends,
                                             .ends_all = ends && last};
    }
  }
};

/// The end of the run of at most `limit` steps from k0 on that breaks as few leaves as it can.
inline int64_t chunk_end(const LeafPlan& plan, int64_t k0, int64_t limit) {
  const int64_t total = plan.starts[static_cast<size_t>(plan.count)];
  int64_t end = k0;
  for (int i = 1; i <= plan.count; ++i) {
    const int64_t stop = plan.starts[static_cast<size_t>(i)];
    if (stop > k0 && stop <= k0 + limit) end = stop;
  }
  return end > k0 ? end : std::min(total, k0 + limit);
}

}  // namespace yiti
