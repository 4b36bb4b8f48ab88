// A float32 tensor as rows of its last axis.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace yiti::cpu {

/// Rows of the last axis at one distance; holds a contiguous copy where the strides allow no such
/// view, so writes go through only when viewed(). Rank 0 is one row of one element.
class RowView {
 public:
  explicit RowView(const Tensor& x) : keep_(has_one_stride(x) ? x : x.contiguous()) {
    width_ = keep_.rank() == 0 ? 1 : keep_.dim(-1);
    rows_ = width_ == 0 ? 0 : keep_.numel() / width_;
    stride_ = width_;
    for (int axis = keep_.rank() - 2; axis >= 0; --axis) {
      if (keep_.dim(axis) == 1) continue;
      stride_ = keep_.strides()[axis];
      break;
    }
    data_ = keep_.data<float>();
  }

  float* row(int64_t i) const { return data_ + i * stride_; }
  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }

 private:
  static bool has_one_stride(const Tensor& x) {
    if (x.rank() == 0 || x.numel() == 0) return true;
    if (x.dim(-1) != 1 && x.strides()[-1] != 1) return false;
    int64_t wanted = -1;
    for (int axis = x.rank() - 2; axis >= 0; --axis) {
      if (x.dim(axis) == 1) continue;
      if (wanted >= 0 && x.strides()[axis] != wanted) return false;
      wanted = x.strides()[axis] * x.dim(axis);
    }
    return true;
  }

  Tensor keep_;
  float* data_ = nullptr;
  int64_t rows_ = 0, width_ = 0, stride_ = 0;
};

}  // namespace yiti::cpu
