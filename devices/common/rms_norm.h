// RMS norm as a backend gets it, to run it by a kernel of its own.
#pragma once

#include "devices/common/launcher.h"

namespace yiti::devices {

/// y = x * rstd * weight. With `other`, x + other is normed, and stored in `sum`. `rstd` may be
/// left out.
struct RmsNormCall {
  Operand x, other, weight, sum, y, rstd;
  float eps;
};

}  // namespace yiti::devices
