// What a step of AdamW multiplies by, on the host and in kernels that take it as it is.
#pragma once

namespace yiti::devices {

/// Rounded to f32 once.
struct AdamwScalars {
  float grad_scale, decay;      ///< decay: 1 - lr * weight_decay
  float mix1, beta2, mix2;      ///< mix: 1 - beta
  float root_correction2, eps;  ///< sqrt(1 - beta2^step)
  float step_size;              ///< lr / (1 - beta1^step)
};

}  // namespace yiti::devices
