#include "ops/reduce/sum_to.h"

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/reshape.h"

namespace yiti::ops {

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const int added = x.rank() - shape.rank();
  check(added >= 0, "sum_to", "x is {}; {} does not broadcast to it", x.shape(), shape);
  std::vector<int64_t> axes;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const bool repeated = axis < added || shape[axis - added] != x.dim(axis);
    check(!repeated || axis < added || shape[axis - added] == 1, "sum_to",
          "x is {}; {} does not broadcast to it", x.shape(), shape);
    if (repeated) axes.push_back(axis);
  }
  const Tensor sum = axes.empty() ? x : ops::sum(x, axes);
  return reshape(sum, shape);
}

}  // namespace yiti::ops
