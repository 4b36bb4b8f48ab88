// Arithmetic and comparison of tensors and numbers.
#pragma once

#include <nanobind/nanobind.h>

#include "core/tensor.h"

namespace yiti::python {

/// Adds the operators to Tensor. Numbers take the tensor's dtype, as weak scalars; two tensors of
/// one kind take the wider dtype, a float and an integer the float one.
void add_operators(nanobind::class_<Tensor>& tensor);

}  // namespace yiti::python
