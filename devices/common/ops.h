// The ops that this device runs.
#pragma once

#include <span>

#include "devices/common/launcher.h"

namespace yiti::devices {

struct OpEntry {
  const char* name;
  /// Plans or runs the call. Refuses, by require(), what it does not take.
  void (*run)(Launcher&, const Call&);
  /// Bit i: input i may come with any strides.
  uint64_t strided_inputs = 0;
  /// Whether `run` takes several calls at once, operands of one behind those of another.
  bool takes_lists = false;
};

std::span<const OpEntry> elementwise_ops();
std::span<const OpEntry> copy_ops();
std::span<const OpEntry> reduction_ops();
std::span<const OpEntry> norm_ops();
std::span<const OpEntry> linear_ops();
std::span<const OpEntry> gather_ops();
std::span<const OpEntry> attention_ops();
std::span<const OpEntry> loss_ops();
std::span<const OpEntry> optimiser_ops();
std::span<const OpEntry> image_ops();

/// All of them; an op's number in faults is its place here plus 1.
std::span<const OpEntry> all_ops();
/// Null where there is none of that name.
const OpEntry* find_op(std::string_view name);

/// Whether the device takes the call, and what it wants for it; throws why not.
void plan_op(Backend& backend, const yiti_op_call& call, yiti_op_support& support);
/// Gives the call to the backend's stream.
void run_op(Backend& backend, const yiti_op_call& call);
/// Throws for what a device's fault word says, unless it is 0.
void report_fault(int32_t number);

}  // namespace yiti::devices
