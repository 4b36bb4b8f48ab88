#include "ops/op_list.h"

#include <algorithm>
#include <vector>

#include "ops/attention/attention.h"
#include "ops/attention/attention_paged.h"
#include "ops/attention/kv_write.h"
#include "ops/attention/rope.h"
#include "ops/conv/conv2d.h"
#include "ops/conv/pool2d.h"
#include "ops/elementwise/binary.h"
#include "ops/elementwise/compare.h"
#include "ops/elementwise/scale.h"
#include "ops/elementwise/unary.h"
#include "ops/elementwise/where.h"
#include "ops/fused/add_rms_norm.h"
#include "ops/fused/linear3.h"
#include "ops/fused/linear_add.h"
#include "ops/fused/linear_swiglu.h"
#include "ops/linear/dequantise.h"
#include "ops/linear/embedding.h"
#include "ops/linear/linear.h"
#include "ops/linear/matmul.h"
#include "ops/loss/cross_entropy.h"
#include "ops/loss/linear_cross_entropy.h"
#include "ops/norm/layer_norm.h"
#include "ops/norm/rms_norm.h"
#include "ops/norm/softmax.h"
#include "ops/norm/swiglu.h"
#include "ops/optim/adamw.h"
#include "ops/optim/sgd.h"
#include "ops/optim/square_sum.h"
#include "ops/random/dropout.h"
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
      &relu_backward_op(),
      &gelu_backward_op(),
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
      &dropout_op(),
      &rms_norm_op(),
      &rms_norm_backward_input_op(),
      &rms_norm_backward_weight_op(),
      &layer_norm_op(),
      &layer_norm_backward_input_op(),
      &layer_norm_backward_weight_op(),
      &softmax_op(),
      &softmax_backward_op(),
      &log_softmax_op(),
      &log_softmax_backward_op(),
      &swiglu_op(),
      &swiglu_backward_op(),
      &add_rms_norm_op(),
      &linear_swiglu_op(),
      &linear3_op(),
      &linear_add_op(),
      &rope_table_op(),
      &rope_op(),
      &kv_write_op(),
      &attention_paged_op(),
      &attention_op(),
      &attention_backward_op(),
      &cross_entropy_op(),
      &cross_entropy_backward_op(),
      &linear_cross_entropy_op(),
      &linear_cross_entropy_frozen_op(),
      &linear_cross_entropy_backward_op(),
      &conv2d_op(),
      &conv2d_backward_input_op(),
      &conv2d_backward_weight_op(),
      &max_pool2d_op(),
      &avg_pool2d_op(),
      &avg_pool2d_backward_op(),
  };
  return list;
}

const Op* find_op(std::string_view name) {
  const auto ops = all_ops();
  const auto found =
      std::find_if(ops.begin(), ops.end(), [&](const Op* op) { return op->name == name; });
  return found == ops.end() ? nullptr : *found;
}

}  // namespace yiti
