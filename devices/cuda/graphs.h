// Graphs of the C table, by capture of a stream.
#pragma once

#include "core/plugin/yiti_device.h"

namespace yiti::devices::cuda {

extern const yiti_graphs kGraphs;

}  // namespace yiti::devices::cuda
