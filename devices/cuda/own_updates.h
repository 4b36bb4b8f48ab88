// Optimisers' steps by kernels/updates.cuh.
#pragma once

#include <vector>

#include "devices/common/adamw.h"
#include "devices/cuda/kernels/updates.h"

namespace yiti::devices::cuda {

/// As few launches as the call takes.
std::vector<AdamwLaunch> adamw_launches(const AdamwCall& call);

}  // namespace yiti::devices::cuda
