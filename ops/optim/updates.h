// What the in-place updates share.
#pragma once

#include "core/op.h"

namespace yiti {

/// A kernel for contiguous inputs of one float dtype. (An update of a strided view would have to
/// write through its strides; parameters and their state are contiguous.)
Kernel update_kernel(std::string name, DType dtype, void (*run)(const KernelArgs&));

}  // namespace yiti
