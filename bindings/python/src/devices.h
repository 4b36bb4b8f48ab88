// Devices in Python: by name or as objects, and tensors that move between them.
#pragma once

#include <nanobind/nanobind.h>

#include "core/tensor.h"

namespace yiti::python {

namespace nb = nanobind;

/// The device of tensors that are made without one: a CPU device with a thread per processor, until
/// another is set.
DevicePtr default_device();

/// From a yiti.Device, a device's name (opened at its first use, then the same one), or None for
/// the default. Throws TypeError, or as open_device.
DevicePtr device_from(nb::handle value);

/// `tensor` where the host reads it: itself, or a contiguous copy.
Tensor on_host(const Tensor& tensor);

/// Writes the elements of `source` to `target`, of its shape and dtype. Throws kUnimplemented where
/// `target` is strided memory that the host does not reach.
void write_elements(const Tensor& source, const Tensor& target);

}  // namespace yiti::python
