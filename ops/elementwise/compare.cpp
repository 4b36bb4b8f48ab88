#include "ops/elementwise/compare.h"

#include "ops/elementwise/binary_family.h"

namespace yiti {

const Op& equal_op() {
  static const Op op = binary<BinaryFn::kEqual>("equal")
                           .doc("Whether a = b; false where either is NaN.")
                           .source("IEEE 754-2019, section 5.11")
                           .build();
  return op;
}

const Op& less_op() {
  static const Op op = binary<BinaryFn::kLess>("less")
                           .doc("Whether a < b; false where either is NaN.")
                           .source("IEEE 754-2019, section 5.11")
                           .build();
  return op;
}

const Op& greater_op() {
  static const Op op = binary<BinaryFn::kGreater>("greater")
                           .doc("Whether a > b; false where either is NaN.")
                           .source("IEEE 754-2019, section 5.11")
                           .build();
  return op;
}

namespace ops {

Tensor equal(const Tensor& a, const Tensor& b) { return equal_op()({a, b})[0]; }
Tensor less(const Tensor& a, const Tensor& b) { return less_op()({a, b})[0]; }
Tensor greater(const Tensor& a, const Tensor& b) { return greater_op()({a, b})[0]; }

}  // namespace ops
}  // namespace yiti
