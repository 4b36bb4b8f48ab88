// How kernels find the elements of tensors whose axes are not adjacent.
#pragma once

#include "devices/common/launcher.h"

namespace yiti::devices {

/// The elements of x in row-major order, by its strides.
Walk strided_walk(const Operand& x);
/// The elements of a contiguous x as often as `out`'s shape repeats them.
Walk broadcast_walk(const Operand& x, const Operand& out);
/// The elements of `part` in a row-major tensor of `whole`'s shape, the axis `axis` `step` apart.
Walk part_walk(const Operand& part, const Operand& whole, int axis, int64_t step = 1);
/// The row-major stride of an axis of x's shape.
inline int64_t dense_step(const Operand& x, int axis) { return x.numel(axis + 1, x.rank()); }

}  // namespace yiti::devices
