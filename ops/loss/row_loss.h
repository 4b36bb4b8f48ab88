// A row's loss in double: what the references of the losses share.
#pragma once

#include <span>

#include "core/op.h"

namespace yiti {

double log_sum_exp_of(std::span<const double> row);

/// A row of logits becomes dloss (softmax - one at the label), or 0 where that is ignored.
void logits_gradient(std::span<double> row, int64_t label, double lse, double dloss);

/// logits [3, 7] with an ignored row, labels as i32 and, when `backward`, lse and dloss.
Sample ignoring_sample(bool backward);

}  // namespace yiti
