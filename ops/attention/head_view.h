// A float32 tensor [T, H, D] as heads of adjacent elements.
#pragma once

#include "core/tensor.h"

namespace yiti::cpu {

/// Heads at any token and head distance, such as a part of a fused projection; holds a contiguous
/// copy where a head's elements are not adjacent.
class HeadView {
 public:
  explicit HeadView(const Tensor& x)
      : keep_(x.dim(2) <= 1 || x.strides()[2] == 1 ? x : x.contiguous()),
        data_(keep_.data<float>()),
        token_stride_(keep_.strides()[0]),
        head_stride_(keep_.strides()[1]) {}

  float* at(int64_t token, int64_t head) const {
    return data_ + token * token_stride_ + head * head_stride_;
  }
  int64_t token_stride() const { return token_stride_; }
  int64_t head_stride() const { return head_stride_; }
  int64_t tokens() const { return keep_.dim(0); }
  int64_t heads() const { return keep_.dim(1); }
  int64_t head_dim() const { return keep_.dim(2); }

 private:
  Tensor keep_;
  float* data_;
  int64_t token_stride_, head_stride_;
};

}  // namespace yiti::cpu
