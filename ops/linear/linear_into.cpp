// Products with a weight as the linear op defines them.
#include "core/error.h"
#include "ops/linear/gemm.h"
#include "ops/linear/quantised_rows.h"

namespace yiti {

size_t linear_workspace(Device& device, int64_t m, const MatrixView& weight,
                        bool exact_activations) {
  if (m <= 0 || weight.rows <= 0 || weight.cols <= 0) return 0;
  if (exact_activations || !is_quantised(weight.dtype)) {
    const bool rounds = rounds_activations(weight.dtype, exact_activations);
    return gemm_workspace(device, m, weight.rows, weight.cols,
                          rounds ? GemmRows::kRounded : GemmRows::kAdjacent);
  }
  const LinearTarget target{.weight = weight, .y = nullptr, .y_stride = 0};
  return linear_group_workspace(device, m, {&target, 1});
}

void linear_into(Device& device, const MatrixView& x, const MatrixView& weight, float* y,
                 int64_t y_stride, const LinearOptions& options, std::byte* workspace) {
  check(x.dtype == DType::kF32, "linear", "x is {}; wants f32", name(x.dtype));
  check(x.cols == weight.cols, "linear", "x is [{}, {}], weight [{}, {}]; wants equal last sizes",
        x.rows, x.cols, weight.rows, weight.cols);
  const bool plain = options.exact_activations || !is_quantised(weight.dtype) || x.cols == 0;
  if (x.rows == 0 || weight.rows == 0) return;
  if (plain) {
    return gemm(device, x, weight.t(), y, y_stride,
                {.addend = options.addend,
                 .bias = options.bias,
                 .leaf_unit = options.leaf_unit,
                 .max_leaves = options.max_leaves,
                 .rounded = rounds_activations(weight.dtype, options.exact_activations)},
                x.col_stride == 1 ? workspace : nullptr);
  }
  check(!weight.transposed, "linear", "weight is transposed");
  std::shared_ptr<Storage> own;
  if (workspace == nullptr) {
    own = Storage::allocate(device.shared_from_this(), linear_workspace(device, x.rows, weight));
    workspace = own->data();
  }
  const LinearTarget target{.weight = weight,
                            .y = y,
                            .y_stride = y_stride,
                            .bias = options.bias,
                            .addend = options.addend};
  linear_group_into(device, x, {&target, 1}, options, workspace);
}

}  // namespace yiti
