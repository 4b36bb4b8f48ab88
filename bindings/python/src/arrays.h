// Tensors and other libraries' arrays, over the same memory where that can be.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>

#include "core/tensor.h"

namespace yiti::python {

namespace nb = nanobind;

/// Anything with DLPack or the buffer protocol: a view of its memory, or a copy where strides or
/// alignment do not fit. Nullopt when it is no array. Throws TypeError for an element type or
/// device that yiti has not.
std::optional<Tensor> import_array(nb::handle array, const DevicePtr& device);

/// A NumPy array over the tensor's memory, which it keeps alive. bfloat16 becomes float32.
nb::object to_numpy(const Tensor& tensor);

/// An object with __dlpack__ and __dlpack_device__ over the tensor's memory.
nb::object to_dlpack(const Tensor& tensor);

/// The elements as nested lists of Python numbers; a number for a tensor of rank 0.
nb::object to_list(const Tensor& tensor);

}  // namespace yiti::python
