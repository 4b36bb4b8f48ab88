// Rows of root-mean-square and layer norm, and of their gradients.
#pragma once

#include <cstdint>

#include "ops/kernels/cpu/isa_table.h"

namespace yiti::cpu {

/// What a row is shifted by and scaled with.
struct RowMoments {
  float mean;
  float rstd;
};

struct NormTable {
  /// y = x * rstd * weight; returns rstd = 1 / sqrt(mean(x²) + eps).
  float (*rms_row)(const float* x, const float* weight, float eps, float* y, int64_t n);
  /// sum = x + y, normed = rms_row of it in the same pass.
  void (*add_rms_row)(const float* x, const float* y, const float* weight, float eps, float* sum,
                      float* normed, int64_t n);
  /// dx of a row.
  void (*rms_row_grad)(const float* x, const float* weight, float rstd, const float* dy, float* dx,
                       int64_t n);
  /// y = (x - mean) * rstd * weight + bias; weight and bias may be null.
  RowMoments (*layer_row)(const float* x, const float* weight, const float* bias, float eps,
                          float* y, int64_t n);
  void (*layer_row_grad)(const float* x, const float* weight, RowMoments moments, const float* dy,
                         float* dx, int64_t n);
  /// dweight += dy * (x - mean) * rstd; dbias += dy unless null.
  void (*weight_grad)(const float* x, RowMoments moments, const float* dy, float* dweight,
                      float* dbias, int64_t n);
};

YITI_DECLARE_ISA_TABLE(NormTable, norm_table)
}  // namespace yiti::cpu
