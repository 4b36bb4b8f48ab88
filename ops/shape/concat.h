// Joining tensors along an axis.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& concat_op();

namespace ops {

/// The tensors one after another along `axis`: one plain dtype, and one shape but for that axis.
Tensor concat(std::span<const Tensor> parts, int axis);
inline Tensor concat(std::initializer_list<Tensor> parts, int axis) {
  return concat(std::span(parts.begin(), parts.size()), axis);
}

}  // namespace ops
}  // namespace yiti
