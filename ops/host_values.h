// Elements as doubles on the host: what references and tests compute with.
#pragma once

#include <span>
#include <vector>

#include "core/tensor.h"

namespace yiti {

/// The elements in row-major order, whatever the plain dtype, strides and device.
std::vector<double> to_doubles(const Tensor& tensor);

/// A tensor of a plain dtype from row-major values, each rounded to it (integers: truncated).
Tensor of_doubles(std::span<const double> values, const Shape& shape, DType dtype,
                  const DevicePtr& device);

/// `tensor` seen with the shape that NumPy's broadcasting gives it: repeated axes have stride 0.
Tensor broadcast_view(const Tensor& tensor, const Shape& shape);

}  // namespace yiti
