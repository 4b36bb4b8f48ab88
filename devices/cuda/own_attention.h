// Attention by kernels/tile_attention.cuh, on tensor cores.
#pragma once

#include "devices/common/attention.h"

namespace yiti::devices::cuda {

/// Run the call by the launcher's backend; false where heads are too wide for these kernels,
/// whatever the number of rows.
bool attend(Launcher& run, const RowAttentionCall& call);
bool attend(Launcher& run, const PagedAttentionCall& call);

}  // namespace yiti::devices::cuda
