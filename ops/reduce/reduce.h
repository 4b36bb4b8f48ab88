// Reductions over axes. f32, f64, i32 or i64 (mean: floats). No axes given means all of them.
// The order of additions depends on the reduced length alone. Throws Error for a bad axis, and for
// the extremum of nothing.
#pragma once

#include <vector>

#include "core/op.h"

namespace yiti {

const Op& sum_op();
const Op& mean_op();
const Op& max_op();
const Op& min_op();

namespace ops {

Tensor sum(const Tensor& x, std::vector<int64_t> axes = {}, bool keepdim = false);
Tensor mean(const Tensor& x, std::vector<int64_t> axes = {}, bool keepdim = false);
/// NaN where any is NaN; equal elements share the gradient.
Tensor max(const Tensor& x, std::vector<int64_t> axes = {}, bool keepdim = false);
Tensor min(const Tensor& x, std::vector<int64_t> axes = {}, bool keepdim = false);

}  // namespace ops
}  // namespace yiti
