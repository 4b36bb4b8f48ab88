// y = x Wᵀ + b, for float and quantised weights.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& linear_op();
const Op& linear_backward_input_op();
const Op& linear_backward_weight_op();

struct LinearAttrs {
  int64_t leaf_unit =
      0;  ///< keeps leaves of the reduction to whole heads of this size; 0: no heads
  bool exact_activations = false;  ///< see rounds_activations
  void visit(AttrVisitor& v) {
    v.field("leaf_unit", leaf_unit);
    v.field("exact_activations", exact_activations);
  }
};

namespace ops {

/// x [..., K], weight [N, K], bias [N] or undefined -> [..., N], of x's dtype. x is f32 or f64;
/// with f32 the weight may be f32, f16, bf16 or quantised (in either layout). Unless
/// `exact_activations` or x is f64, quantised weights meet activations that are quantised to 8 bits
/// in blocks of 32, and bf16 ones meet activations that are rounded to bf16. Gradients: for x exact
/// where activations are, else straight through their rounding, as a product of factors that are
/// rounded to bf16; for a float weight and bias in x's dtype; none for a quantised weight. Throws
/// kInvalidArgument.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, int64_t leaf_unit = 0,
              bool exact_activations = false);

}  // namespace ops
}  // namespace yiti
