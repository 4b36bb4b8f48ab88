// Which instruction set the CPU kernels use: chosen once, when a device is made.
#pragma once

#include <string_view>

namespace yiti {

enum class Isa { kPortable, kAvx2, kAvx512 };

std::string_view name(Isa isa);

/// True when this processor and operating system run `isa` (kAvx512 means F, BW, VL, DQ and VNNI).
/// A feature counts only where the system has enabled its registers (XGETBV); AMX, which virtual
/// machines advertise and then trap on, is not used.
bool is_supported(Isa isa);

/// The best supported set, or the one that YITI_CPU_ISA names ("portable", "avx2", "avx512").
/// Throws kInvalidArgument for an unknown name, kUnimplemented for one that this machine lacks.
Isa choose_isa();

}  // namespace yiti
