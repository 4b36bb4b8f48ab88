// Cross-entropy of a linear layer's logits, of which only a chunk of rows exists at a time.
#pragma once

#include "core/op.h"

namespace yiti {

const Op& linear_cross_entropy_op();
const Op& linear_cross_entropy_frozen_op();
const Op& linear_cross_entropy_backward_op();

struct LinearCrossEntropyAttrs {
  int64_t chunk = 256;  ///< rows whose logits exist at once; never changes a bit of a loss
  bool exact_activations = false;  ///< as for ops::linear
  void visit(AttrVisitor& v) {
    v.field("chunk", chunk);
    v.field("exact_activations", exact_activations);
  }
};

namespace ops {

/// Each row's -log softmax(x weightᵀ)[label]; 0, without any work, where the label is
/// kIgnoredLabel. The same bits as cross_entropy(linear(x, weight, {}, 0, exact_activations),
/// labels). x [T, D] f32 or f64, weight [V, D] float or quantised, labels [T] i32 or i64 -> [T].
/// Gradients for x (straight through the rounding of activations) and for a weight of x's dtype.
/// Throws kInvalidArgument for another label outside of [0, V).
Tensor linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& labels,
                            bool exact_activations = false);

}  // namespace ops
}  // namespace yiti
