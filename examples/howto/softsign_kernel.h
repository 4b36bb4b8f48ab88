// Rows of softsign.
#pragma once

#include <cstdint>

#include "ops/kernels/cpu/isa_table.h"

namespace yiti::cpu {

struct SoftsignTable {
  void (*row)(const float* x, float* y, int64_t n);
};

YITI_DECLARE_ISA_TABLE(SoftsignTable, softsign_table)

}  // namespace yiti::cpu
