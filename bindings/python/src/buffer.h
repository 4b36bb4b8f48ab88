// The buffer protocol: memoryview(tensor) and all that reads buffers see the tensor's memory.
#pragma once

#include <nanobind/nanobind.h>

namespace yiti::python {

/// Type slots for nanobind's class_<Tensor>.
const PyType_Slot* buffer_slots();

}  // namespace yiti::python
