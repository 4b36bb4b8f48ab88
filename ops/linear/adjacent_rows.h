// Rows of a matrix of floats for what wants their columns next to each other.
#pragma once

#include <vector>

#include "ops/linear/gemm.h"

namespace yiti {

/// Calls f(m, row) for each row m of an f32 matrix in parallel, at least `grain` of them a thread;
/// a row whose columns are not adjacent is copied first.
template <class F>
void for_each_adjacent_row(Device& device, const MatrixView& x, int64_t grain, F&& f) {
  device.threads().parallel_for(x.rows, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> adjacent(x.col_stride == 1 ? 0 : static_cast<size_t>(x.cols));
    for (int64_t m = begin; m < end; ++m) {
      const float* row = reinterpret_cast<const float*>(x.data) + m * x.row_stride;
      for (size_t k = 0; k < adjacent.size(); ++k) {
        adjacent[k] = row[static_cast<int64_t>(k) * x.col_stride];
      }
      f(m, adjacent.empty() ? row : adjacent.data());
    }
  });
}

}  // namespace yiti
