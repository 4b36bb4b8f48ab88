// Devices that come as plug-ins: opening them by name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/tensor.h"

namespace yiti {

/// What happens with an op that a device lacks.
enum class DeviceFallback {
  kCpu,     ///< it runs on the CPU, with copies of its operands that are counted
  kRefuse,  ///< kUnimplemented, with the device's reason
};

struct DeviceOptions {
  std::string path;  ///< folders with plug-ins, separated by ':'; empty: see plugin_folders
  DeviceFallback fallback = DeviceFallback::kCpu;
  CpuOptions cpu;                        ///< of the CPU device beside it
  size_t cache_bytes = size_t{4} << 30;  ///< of the device's freed memory, kept for reuse
  /// Waits after each op, so that an error names the op that made it: slow, for finding faults.
  bool synchronous = false;
};

/// Opens "cpu"; a plug-in's device by its name, "NAME" or "NAME:INDEX"; or that of a plug-in's file
/// (a path that contains '/'). Throws kNotFound, kFailedPrecondition (the plug-in does not fit) or
/// kUnavailable (no driver, no device), and whatever code the plug-in gives.
DevicePtr open_device(const std::string& name, const DeviceOptions& options = {});

/// What open_device would open, and what there is.
struct DeviceListing {
  std::string name;     ///< "NAME:INDEX", or the plug-in's file where it has no device
  std::string problem;  ///< why it cannot be used; empty: it can
  std::string title;    ///< the device's own name
  std::string driver;
  uint64_t memory_bytes = 0, free_memory_bytes = 0;  ///< 0: not known
  uint32_t compute_units = 0;                        ///< 0: not known
  bool row_contract = false;
};

/// The devices of all plug-ins that are found in `path` (as DeviceOptions has it).
std::vector<DeviceListing> list_devices(const std::string& path = "");

/// What a device has done since it was opened.
struct DeviceCounters {
  int64_t ops = 0;            ///< that the device ran
  int64_t host_ops = 0;       ///< that ran on the CPU, since the device lacks them
  int64_t host_op_bytes = 0;  ///< copied from the device and back for these
  int64_t bytes_to_device = 0, bytes_to_host = 0;  ///< all copies
};

/// A quantised matrix in the layout that its plug-in device keeps weights in (Layout::kPanels), for
/// ops on that device; itself where the device has none for it. Tensor::copy and Tensor::on give
/// its rows back.
Tensor packed_weight(const Tensor& rows);
/// Whether the device says that it keeps the row contract; a CPU does.
bool keeps_rows(const Device& device);
/// What is wrong with the streams and events of a plug-in's device; empty: nothing. Throws Error
/// where a call fails.
std::string check_streams(const Device& device);
/// All zero for a device that is no plug-in's.
DeviceCounters counters_of(const Device& device);

}  // namespace yiti
