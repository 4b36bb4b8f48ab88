// Rows of softmax and log-softmax, and of their gradients.
#pragma once

#include <cstdint>

#include "ops/kernels/cpu/isa_table.h"

namespace yiti::cpu {

struct SoftmaxTable {
  /// log(sum of e^x): the largest element plus the logarithm of a sum of at least 1. -inf for n =
  /// 0.
  float (*log_sum_exp)(const float* x, int64_t n);
  /// y = e^(x - log_sum_exp), as e^(x - top) / sum. May be in place.
  void (*softmax)(const float* x, float* y, int64_t n);
  /// y = x - lse. May be in place.
  void (*subtract)(const float* x, float lse, float* y, int64_t n);
  /// y = factor e^(x - lse). May be in place.
  void (*scaled_exp)(const float* x, float lse, float factor, float* y, int64_t n);
  /// dx = y (dy - sum(dy y)) of softmax's result y.
  void (*softmax_grad)(const float* y, const float* dy, float* dx, int64_t n);
  /// dx = dy - e^y sum(dy) of log-softmax's result y.
  void (*log_softmax_grad)(const float* y, const float* dy, float* dx, int64_t n);
};

YITI_DECLARE_ISA_TABLE(SoftmaxTable, softmax_table)

}  // namespace yiti::cpu
