// RMS norm by kernels/wide_norms.cuh.
#pragma once

#include "devices/common/rms_norm.h"

namespace yiti::devices::cuda {

/// Runs the call by the launcher's backend; false where rows are too wide for the kernel.
bool normalise(Launcher& run, const RmsNormCall& call);

}  // namespace yiti::devices::cuda
