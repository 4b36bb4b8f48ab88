// How far results may lie apart.
#pragma once

#include <vector>

#include "core/op.h"

namespace yiti::derived {

bool same_bits(const Tensor& a, const Tensor& b);

/// The largest error / what `accuracy` allows: above 1 is too much. Infinite where nothing is
/// allowed or one is not finite and the other is otherwise.
double error_ratio(const Tensor& got, const Tensor& wanted, const Accuracy& accuracy);

/// What is wrong with outputs that an op made, against the reference's: other shapes or dtypes, or
/// too large an error. `worst` becomes the largest error ratio, where it was less.
std::vector<std::string> differences(const Op& op, const std::vector<Tensor>& got,
                                     const std::vector<Tensor>& wanted, double& worst);

}  // namespace yiti::derived
