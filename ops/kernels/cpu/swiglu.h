// Rows of the gated linear unit with SiLU, and of its gradient.
#pragma once

#include <cstdint>

#include "ops/kernels/cpu/isa_table.h"

namespace yiti::cpu {

struct SwigluTable {
  /// y = (gate * sigmoid(gate)) * up, rounded as silu and mul one after the other.
  void (*row)(const float* gate, const float* up, float* y, int64_t n);
  void (*row_grad)(const float* gate, const float* up, const float* dy, float* dgate, float* dup,
                   int64_t n);
};

YITI_DECLARE_ISA_TABLE(SwigluTable, swiglu_table)

}  // namespace yiti::cpu
