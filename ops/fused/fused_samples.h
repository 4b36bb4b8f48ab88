// Samples of fused products with several weights.
#pragma once

#include "core/op.h"

namespace yiti {

/// x [rows, 96] with a quantised weight [outputs[i], 96] of dtypes[i] for each i.
Sample quantised_group_sample(int64_t rows, std::vector<DType> dtypes, std::vector<int64_t> outputs,
                              bool panels);

}  // namespace yiti
