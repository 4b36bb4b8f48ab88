// Reductions of f32. The order of additions depends on the length alone: blocks of 1024 in 4 x 16
// lanes for rows, blocks of 64 rows for columns.
#pragma once

#include <cstdint>

#include "ops/kernels/cpu/isa_table.h"

namespace yiti::cpu {

enum class Fold : uint8_t { kSum, kMax, kMin };

struct ReduceTable {
  /// The fold of n neighbours; n >= 1 for kMax and kMin.
  double (*row[3])(const float* x, int64_t n);
  /// y[i] = the fold of x[r * stride + i] over `rows` rows, for i < n.
  void (*column[3])(const float* x, int64_t rows, int64_t stride, float* y, int64_t n);
  /// The sum of squares of n neighbours, added in f64.
  double (*square_sum)(const float* x, int64_t n);
};
YITI_DECLARE_ISA_TABLE(ReduceTable, reduce_table)

}  // namespace yiti::cpu
