// Optimiser updates of f32: each element is read and written once.
#pragma once

#include <cstdint>

#include "ops/kernels/cpu/isa_table.h"

namespace yiti::cpu {

/// The step's scalars, rounded to f32 once.
struct AdamwScalars {
  float grad_scale, decay;      ///< decay: 1 - lr * weight_decay
  float mix1, beta2, mix2;      ///< mix: 1 - beta
  float root_correction2, eps;  ///< sqrt(1 - beta2^step)
  float step_size;              ///< lr / (1 - beta1^step)
};

struct SgdScalars {
  float grad_scale, weight_decay, momentum, lr;
  bool nesterov;
};

struct OptimTable {
  void (*adamw)(float* param, const float* grad, float* m, float* v, int64_t n,
                const AdamwScalars& s);
  /// `momentum` may be null.
  void (*sgd)(float* param, const float* grad, float* momentum, int64_t n, const SgdScalars& s);
};
YITI_DECLARE_ISA_TABLE(OptimTable, optim_table)

}  // namespace yiti::cpu
