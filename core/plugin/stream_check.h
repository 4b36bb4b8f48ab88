// Whether a plug-in's streams and events keep order: a part of the conformance run.
#pragma once

#include <string>

#include "core/plugin/yiti_device.h"

namespace yiti {

/// Sends numbers through two streams that an event orders, and back; what is wrong, or empty.
/// Throws Error where a call fails.
std::string check_streams(const yiti_device_plugin& table, yiti_device* device);

}  // namespace yiti
