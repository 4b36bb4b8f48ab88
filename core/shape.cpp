#include "core/shape.h"

#include "core/error.h"
#include "core/shape_text.h"

namespace yiti {

Shape::Shape(std::span<const int64_t> dims) {
  for (int64_t dim : dims) push_back(dim);
}

void Shape::push_back(int64_t value) {
  check(rank_ < kMaxRank, "shape", "more than {} axes", kMaxRank);
  check(value >= 0, "shape", "size {} of axis {} is negative", value, rank_);
  dims_[static_cast<size_t>(rank_++)] = value;
}

int Shape::index(int axis) const {
  const int wrapped = axis < 0 ? axis + rank_ : axis;
  if (wrapped < 0 || wrapped >= rank_) {
    fail(Code::kOutOfRange, "shape", "axis {} of {}, which has {} axes", axis, *this, rank_);
  }
  return wrapped;
}

int64_t Shape::numel() const {
  int64_t count = 1;
  for (int64_t dim : dims()) {
    if (__builtin_mul_overflow(count, dim, &count)) {
      fail(Code::kInvalidArgument, "shape", "{} has more elements than fit in 64 bits", *this);
    }
  }
  return count;
}

std::string Shape::str() const { return fmt::format("[{}]", fmt::join(begin(), end(), ", ")); }

Shape contiguous_strides(const Shape& shape) {
  Shape strides = shape;
  int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides.set(axis, step);
    step *= shape[axis];
  }
  return strides;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, std::string_view where) {
  Shape out = a.rank() >= b.rank() ? a : b;
  for (int i = 1; i <= out.rank(); ++i) {
    const int64_t da = i <= a.rank() ? a[-i] : 1;
    const int64_t db = i <= b.rank() ? b[-i] : 1;
    check(da == db || da == 1 || db == 1, where, "shapes {} and {} do not broadcast", a, b);
    out.set(-i, da == 1 ? db : da);
  }
  return out;
}

}  // namespace yiti
