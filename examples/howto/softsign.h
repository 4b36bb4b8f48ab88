// The sample of docs/howto/add-an-op.md.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& softsign_op();

namespace ops {

/// x / (1 + |x|), element by element (Turian et al. 2009). x [...] -> [...]; f32 or f64.
Tensor softsign(const Tensor& x);

}  // namespace ops
}  // namespace yiti
