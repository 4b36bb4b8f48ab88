// What the norm ops share: walking rows on the CPU, and gradients of per-column weights.
#pragma once

#include <functional>

#include "core/op.h"

namespace yiti::cpu {

/// Rows that one thread takes at least, so that it has some 16k elements.
inline int64_t row_grain(int64_t width) {
  return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, width));
}

/// Rows whose weight gradients are added in one chain; the chains are added in ascending order.
inline constexpr int64_t kWeightChunk = 64;

/// Bytes of partial sums of `columns` columns over `rows` rows.
inline size_t column_sums_workspace(int64_t rows, int64_t columns) {
  const int64_t chunks = (rows + kWeightChunk - 1) / kWeightChunk;
  return static_cast<size_t>(chunks * columns) * sizeof(float);
}

/// out[c] = the sum over all rows of what `add(row, partial)` adds to partial[c]. The order of
/// additions depends on `rows` alone.
void column_sums(ThreadPool& threads, int64_t rows, int64_t columns, float* partials,
                 const std::function<void(int64_t row, float* partial)>& add, float* out);

}  // namespace yiti::cpu
