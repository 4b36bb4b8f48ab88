#include "ops/op_list.h"

#include <algorithm>
#include <vector>

#include "ops/elementwise/binary.h"
#include "ops/elementwise/compare.h"
#include "ops/elementwise/scale.h"
#include "ops/elementwise/unary.h"
#include "ops/elementwise/where.h"
#include "ops/linear/dequantise.h"
#include "ops/linear/embedding.h"
#include "ops/linear/linear.h"
#include "ops/linear/matmul.h"
#include "ops/optim/adamw.h"
#include "ops/optim/sgd.h"
#include "ops/optim/square_sum.h"
#include "ops/reduce/arg.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/cast.h"
#include "ops/shape/concat.h"
#include "ops/shape/contiguous.h"
#include "ops/shape/expand.h"
#include "ops/shape/gather.h"
#include "ops/shape/index_select.h"
#include "ops/shape/pad.h"
#include "ops/shape/permute.h"
#include "ops/shape/reshape.h"
#include "ops/shape/slice.h"
#include "ops/shape/top_k.h"

namespace yiti {

std::span<const Op* const> all_ops() {
  static const std::vector<const Op*> list = {
      // One line an op.
      &add_op(),
      &sub_op(),
      &mul_op(),
      &div_op(),
      &maximum_op(),
      &minimum_op(),
      &pow_op(),
      &equal_op(),
      &less_op(),
      &greater_op(),
      &where_op(),
      &neg_op(),
      &exp_op(),
      &log_op(),
      &sqrt_op(),
      &rsqrt_op(),
      &square_op(),
      &abs_op(),
      &tanh_op(),
      &sigmoid_op(),
      &relu_op(),
      &silu_op(),
      &gelu_op(),
      &gelu_tanh_op(),
      &sin_op(),
      &cos_op(),
      &scale_op(),
      &clamp_op(),
      &sum_op(),
      &mean_op(),
      &max_op(),
      &min_op(),
      &matmul_op(),
      &linear_op(),
      &linear_backward_input_op(),
      &linear_backward_weight_op(),
      &embedding_op(),
      &embedding_backward_op(),
      &dequantise_op(),
      &reshape_op(),
      &squeeze_op(),
      &unsqueeze_op(),
      &permute_op(),
      &expand_op(),
      &slice_op(),
      &slice_backward_op(),
      &concat_op(),
      &contiguous_op(),
      &cast_op(),
      &adamw_step_op(),
      &sgd_step_op(),
      &sgd_momentum_step_op(),
      &square_sum_op(),
      &argmax_op(),
      &argmin_op(),
      &pad_op(),
      &gather_op(),
      &scatter_add_op(),
      &one_hot_op(),
      &index_select_op(),
      &index_select_backward_op(),
      &top_k_op(),
  };
  return list;
}

const Op* find_op(std::string_view name) {
  const auto ops = all_ops();
  const auto found = std::find_if(ops.begin(), ops.end(), [&](const Op* op) { return op->name == name; });
  return found == ops.end() ? nullptr : *found;
}

}  // namespace yiti
