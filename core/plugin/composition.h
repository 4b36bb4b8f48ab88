// Ops whose reference is made of other ops.
#pragma once

#include <span>
#include <vector>

#include "core/op.h"

namespace yiti {

/// One op of a composition, with inputs that have shapes only.
struct OpPart {
  const Op* op;
  std::vector<Tensor> in;
  Attrs attrs;
};

/// Whether the reference of `op` is made of other ops: where it has no gradient of its own, that is
/// the reference's.
inline bool is_composite(const Op& op) {
  return op.composed || (op.differentiable && !op.gradient && !op.view && op.reference != nullptr);
}

/// The ops that the reference of `op` runs on these inputs, in order; none where it is not
/// composite.
std::vector<OpPart> parts_of(const Op& op, std::span<const Tensor> in, const Attrs& attrs);

}  // namespace yiti
