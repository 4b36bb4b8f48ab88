// Samples of attention over packed documents, for the derived tests.
#pragma once

#include <vector>

#include "core/op.h"

namespace yiti {

/// Inputs q, k, v, positions and, when `backward`, also out, lse and dout.
std::vector<Sample> packed_attention_samples(bool backward);

}  // namespace yiti
