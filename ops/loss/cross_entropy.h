// Cross-entropy of logits.
#pragma once

#include "core/op.h"

namespace yiti {

/// The label of a row that takes no part in the loss.
inline constexpr int32_t kIgnoredLabel = -100;

const Op& cross_entropy_op();
const Op& cross_entropy_backward_op();

namespace ops {

/// Each row's -log softmax(logits)[label]; 0 where the label is kIgnoredLabel.
/// logits [T, V] f32 or f64, labels [T] i32 or i64 -> [T]. Throws kInvalidArgument for another
/// label outside of [0, V).
Tensor cross_entropy(const Tensor& logits, const Tensor& labels);

}  // namespace ops
}  // namespace yiti
