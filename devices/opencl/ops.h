// The ops that this device runs.
#pragma once

#include <span>

#include "devices/opencl/launcher.h"

namespace yiti::opencl {

struct OpEntry {
  const char* name;
  /// Plans or runs the call. Refuses, by require(), what it does not take.
  void (*run)(Launcher&, const Call&);
  /// Bit i: input i may come with any strides.
  uint64_t strided_inputs = 0;
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

}  // namespace yiti::opencl
