// Rotation of one head.
#pragma once

#include <cstdint>

#include "ops/kernels/cpu/isa_table.h"

namespace yiti::cpu {

struct RopeTable {
  /// y = x with the pairs (i, i + pairs) rotated by the angles of cos and sign * sin; elements from
  /// 2 pairs on are copied.
  void (*head)(const float* x, const float* cos, const float* sin, float sign, int64_t pairs,
               int64_t n, float* y);
};

YITI_DECLARE_ISA_TABLE(RopeTable, rope_table)

}  // namespace yiti::cpu
