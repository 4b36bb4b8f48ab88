// AdamW as a backend gets it, to update many tensors by one kernel.
#pragma once

#include <span>

#include "devices/common/adamw_scalars.h"
#include "devices/common/operands.h"

namespace yiti::devices {

/// A parameter with its gradient and moments: f32 of one shape.
struct AdamwTensors {
  Operand param, grad, m, v;
};

struct AdamwCall {
  std::span<const AdamwTensors> tensors;
  AdamwScalars scalars;
};

}  // namespace yiti::devices
