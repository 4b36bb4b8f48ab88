// x[…] as NumPy has it.
#pragma once

#include <nanobind/nanobind.h>

#include "core/tensor.h"

namespace yiti::python {

namespace nb = nanobind;

/// Ints, slices, None, Ellipsis (views, but for negative steps), one list or integer tensor of rank
/// 1 (picks along its axis), or a bool tensor over the first axes alone. Throws IndexError or
/// TypeError saying what is wrong.
Tensor get_item(const Tensor& x, nb::handle key);

/// Writes into what ints, slices, None and Ellipsis select, or where a bool tensor over the first
/// axes holds: `value` broadcasts to it and is cast. Throws kFailedPrecondition for a followed
/// tensor outside no_grad, and for read-only memory.
void set_item(const Tensor& x, nb::handle key, nb::handle value);

}  // namespace yiti::python
