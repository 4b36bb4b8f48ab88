// A tensor as a person reads it.
#pragma once

#include <string>

#include "core/tensor.h"

namespace yiti::python {

/// "Tensor([[1, 2.5], [3, 4]], dtype=float32)"; of many elements the first and last three of each
/// axis, with their number.
std::string tensor_text(const Tensor& tensor);

}  // namespace yiti::python
