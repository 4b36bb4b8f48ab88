#include "ops/reduce/axes.h"

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/shape/contiguous.h"

namespace yiti {
namespace {

// Whether the reduced axes are neighbours, axes of size 1 aside.
bool adjacent(const Shape& shape, unsigned axes) {
  int runs = 0;
  bool inside = false;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    const bool reduced = (axes >> i & 1u) != 0;
    if (reduced && !inside) ++runs;
    inside = reduced;
  }
  return runs <= 1;
}

}  // namespace

unsigned reduced_axes(const ReduceAttrs& attrs, const Shape& shape, std::string_view where) {
  unsigned axes = 0;
  for (int64_t given : attrs.axes) {
    check(given >= -shape.rank() && given < shape.rank(), where, "axis {} of x {}", given, shape);
    const int axis = shape.index(static_cast<int>(given));
    check((axes >> axis & 1u) == 0, where, "axis {} is named twice", given);
    axes |= 1u << axis;
  }
  return attrs.axes.empty() ? (1u << shape.rank()) - 1u : axes;
}

Shape reduced_shape(const Shape& shape, unsigned axes, bool keepdim) {
  Shape left;
  for (int i = 0; i < shape.rank(); ++i) {
    const bool reduced = (axes >> i & 1u) != 0;
    if (!reduced) left.push_back(shape[i]);
    if (reduced && keepdim) left.push_back(1);
  }
  return left;
}

ReduceView reduce_sizes(const Shape& shape, unsigned axes) {
  ReduceView view;
  const bool neighbours = adjacent(shape, axes);
  bool seen = false;
  for (int i = 0; i < shape.rank(); ++i) {
    if ((axes >> i & 1u) != 0) {
      view.reduced *= shape[i];
      seen = seen || shape[i] != 1;
    } else {
      (neighbours && seen ? view.inner : view.outer) *= shape[i];
    }
  }
  return view;
}

ReduceView reduce_view(const Tensor& x, unsigned axes) {
  ReduceView view = reduce_sizes(x.shape(), axes);
  if (adjacent(x.shape(), axes)) {
    view.x = ops::contiguous(x);
    return view;
  }
  Shape shape, strides;
  for (unsigned wanted : {0u, 1u}) {
    for (int i = 0; i < x.rank(); ++i) {
      if ((axes >> i & 1u) != wanted) continue;
      shape.push_back(x.dim(i));
      strides.push_back(x.strides()[i]);
    }
  }
  view.x = ops::contiguous(x.as_strided(shape, strides, 0));
  return view;
}

}  // namespace yiti
