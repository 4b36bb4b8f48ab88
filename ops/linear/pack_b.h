// Panels of B for the float kernels, from whatever B is.
#pragma once

#include "ops/kernels/cpu/gemm.h"
#include "ops/kernels/cpu/quant.h"
#include "ops/linear/gemm.h"

namespace yiti {

cpu::FloatSource float_source(DType dtype);

/// Writes steps [k0, k0 + k) of columns [n0, n0 + columns) of B [K, N] as panels of [k][16] floats,
/// which begin `stride` floats apart. k0 is a multiple of 32, n0 of 16.
void pack_b(const cpu::GemmTable& gemm, const cpu::QuantTable& quant, const MatrixView& b,
            int64_t k0, int64_t k, int64_t n0, int64_t columns, float* panels, int64_t stride);

}  // namespace yiti
