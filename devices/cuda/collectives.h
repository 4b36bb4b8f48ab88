// Collectives of the C table, by NCCL.
#pragma once

#include "core/plugin/yiti_device.h"

namespace yiti::devices::cuda {

extern const yiti_collectives kCollectives;

}  // namespace yiti::devices::cuda
