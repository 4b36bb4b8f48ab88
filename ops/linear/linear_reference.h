// The linear ops by plain loops in double precision, for any float dtype and quantised weights.
#pragma once

#include "core/op.h"

namespace yiti {

std::vector<Tensor> linear_reference(std::span<const Tensor> in, const Attrs& attrs);
std::vector<Tensor> linear_backward_input_reference(std::span<const Tensor> in, const Attrs& attrs);
std::vector<Tensor> linear_backward_weight_reference(std::span<const Tensor> in,
                                                     const Attrs& attrs);

/// A quantised matrix [rows, columns] of pseudo-random codes with scales of ordinary size.
Tensor random_quantised(DType dtype, int64_t rows, int64_t columns, uint64_t seed,
                        const DevicePtr& device);

/// x [5, 544] and a weight [19, 544] that is quantised, in panels where `panels`, or bf16.
Sample rounding_linear_sample(DType dtype, bool panels = false);
/// dy [5, 19] and such a weight.
Sample rounding_gradient_sample(DType dtype, bool panels = false);

}  // namespace yiti
