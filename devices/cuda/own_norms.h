// How rows are shared out, and RMS norm by kernels/wide_norms.cuh.
#pragma once

#include <string_view>

#include "devices/common/rms_norm.h"

namespace yiti::devices::cuda {

/// Threads of a row's block in the shared kernels of a file: a multiprocessor has few rows at a
/// time and wants many reads under way. Logits are far wider than hidden states.
inline size_t row_group(std::string_view file) {
  return file == "losses" ? 1024 : file == "norms" || file == "reductions" ? 256 : kGroup;
}

/// Runs the call by the launcher's backend; false where rows are too wide for the kernel.
bool normalise(Launcher& run, const RmsNormCall& call);

}  // namespace yiti::devices::cuda
