#include "ops/kernels/cpu/row_walk.h"

#include "core/error.h"
#include "ops/host_values.h"

namespace yiti::cpu {

RowWalk::RowWalk(const Shape& shape,
                 std::initializer_list<std::reference_wrapper<const Tensor>> operands)
    : count_(operands.size()) {
  check(count_ <= kMaxOperands, "row walk", "{} operands", count_);
  // Merged axes, outermost first.
  size_t axes = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const int64_t size = shape[axis];
    if (size == 1) continue;
    Offsets stride{};
    for (size_t i = 0; i < count_; ++i) {
      const Tensor& tensor = operands.begin()[i];
      const int own = axis - (shape.rank() - tensor.rank());
      stride[i] = own < 0 || tensor.dim(own) == 1 ? 0 : tensor.strides()[own];
    }
    bool merges = axes > 0;
    for (size_t i = 0; i < count_ && merges; ++i) {
      merges = stride_[axes - 1][i] == stride[i] * size;
    }
    if (merges) {
      size_[axes - 1] *= size;
      stride_[axes - 1] = stride;
    } else {
      size_[axes] = size;
      stride_[axes] = stride;
      ++axes;
    }
  }
  if (axes > 0) {
    width_ = size_[axes - 1];
    step_ = stride_[axes - 1];
    outer_ = axes - 1;
  }
  for (size_t axis = 0; axis < outer_; ++axis) rows_ *= size_[axis];
  if (width_ == 0) rows_ = 0;
}

RowWalk::Cursor RowWalk::at(int64_t row) const {
  Cursor cursor;
  for (size_t axis = outer_; axis-- > 0;) {
    cursor.index[axis] = row % size_[axis];
    row /= size_[axis];
    for (size_t i = 0; i < count_; ++i) {
      cursor.offsets[i] += cursor.index[axis] * stride_[axis][i];
    }
  }
  return cursor;
}

void RowWalk::advance(Cursor& cursor) const {
  for (size_t axis = outer_; axis-- > 0;) {
    const bool wraps = ++cursor.index[axis] == size_[axis];
    const int64_t steps = wraps ? 1 - size_[axis] : 1;
    for (size_t i = 0; i < count_; ++i) cursor.offsets[i] += steps * stride_[axis][i];
    if (!wraps) return;
    cursor.index[axis] = 0;
  }
}

}  // namespace yiti::cpu
