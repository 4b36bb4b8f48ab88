#include "core/error.h"
#include "core/shape_text.h"
#include "ops/linear/gemm.h"

namespace yiti {

MatrixView MatrixView::t() const {
  MatrixView view = *this;
  std::swap(view.rows, view.cols);
  std::swap(view.row_stride, view.col_stride);
  view.transposed = !transposed;
  return view;
}

MatrixView MatrixView::row_range(int64_t begin, int64_t end) const {
  check(0 <= begin && begin <= end && end <= rows, "matrix", "rows [{}, {}) of {}", begin, end,
        rows);
  MatrixView view = *this;
  view.rows = end - begin;
  const DTypeInfo& type = info(dtype);
  if (!type.quantised) {
    view.data += begin * row_stride * type.block_bytes;
    return view;
  }
  check(!transposed, "matrix", "rows of a transposed {} matrix", type.name);
  const int64_t whole = layout == Layout::kPanels ? kPanelRows : 1;
  check(begin % whole == 0 || begin == end, "matrix",
        "panels cut at row {}; wants a multiple of {}", begin, whole);
  view.data += begin * (cols / type.block) * type.block_bytes;
  return view;
}

MatrixView matrix(const Tensor& tensor) {
  if (tensor.rank() != 2) {  // kernels come here: a message is made only where it is needed
    fail(Code::kInvalidArgument, "matrix", "got {}; wants two axes", tensor.shape());
  }
  const bool quantised = is_quantised(tensor.dtype());
  return {.data = tensor.numel() == 0 || !tensor.has_storage() ? nullptr : tensor.raw(),
          .dtype = tensor.dtype(),
          .rows = tensor.dim(0),
          .cols = tensor.dim(1),
          .row_stride = quantised ? 0 : tensor.strides()[0],
          .col_stride = quantised ? 1 : tensor.strides()[1],
          .layout = tensor.layout()};
}

MatrixView row_major(const float* data, int64_t rows, int64_t cols) {
  MatrixView view;
  view.data = reinterpret_cast<const std::byte*>(data);
  view.rows = rows;
  view.cols = cols;
  view.row_stride = cols;
  return view;
}

int64_t row_count(const Tensor& tensor) {
  return Shape(tensor.shape().dims().first(static_cast<size_t>(tensor.rank() - 1))).numel();
}

MatrixView as_rows(const Tensor& tensor, Tensor& keep) {
  const int rank = tensor.rank();
  if (rank < 1 || is_quantised(tensor.dtype())) {
    fail(Code::kInvalidArgument, "matrix", "got {} of {}; wants rows of floats", tensor.shape(),
         name(tensor.dtype()));
  }
  keep = tensor;
  const int64_t cols = tensor.dim(-1);
  // The outer axes fold into one where each stride is the next one's times its size.
  int64_t stride = cols, step = 0;
  bool folds = true;
  for (int axis = rank - 2; axis >= 0; --axis) {
    if (tensor.dim(axis) == 1) continue;
    if (step == 0) {
      stride = tensor.strides()[axis];
    } else if (tensor.strides()[axis] != step) {
      folds = false;
    }
    step = tensor.strides()[axis] * tensor.dim(axis);
  }
  const bool adjacent = cols <= 1 || tensor.strides()[-1] == 1;
  if (!folds || !adjacent) {
    keep = tensor.contiguous();
    stride = cols;
  }
  return {.data = tensor.numel() == 0 ? nullptr : keep.raw(),
          .dtype = tensor.dtype(),
          .rows = row_count(tensor),
          .cols = cols,
          .row_stride = stride,
          .col_stride = 1};
}

}  // namespace yiti
