// Groups of ranks whose devices are a plug-in's, over the collectives that it brings.
#pragma once

#include <span>
#include <vector>

#include "core/communicator.h"

namespace yiti {

/// The id of a new group: one rank makes it and hands it to the others, by whatever means it has.
/// Throws kUnimplemented where the device's plug-in has no collectives.
std::vector<std::byte> make_group_id(const DevicePtr& device);

/// Joins as rank `rank` of `size`; returns once all ranks have. Sums have the same bits on each
/// rank, in an order that is the plug-in's. Throws kUnimplemented as above, and what the plug-in
/// gives.
CommunicatorPtr join_group(const DevicePtr& device, std::span<const std::byte> id, int rank,
                           int size);

}  // namespace yiti
