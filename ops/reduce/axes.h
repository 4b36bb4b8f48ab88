// Which axes a reduction goes over, and the tensor seen for it as [outer, reduced, inner].
#pragma once

#include "core/op.h"

namespace yiti {

struct ReduceAttrs {
  std::vector<int64_t> axes;  ///< none: all
  bool keepdim = false;       ///< leave reduced axes at size 1
  void visit(AttrVisitor& v) {
    v.field("axes", axes);
    v.field("keepdim", keepdim);
  }
};

/// Bit i is set when axis i is reduced. Throws Error naming `where` for a bad or repeated axis.
unsigned reduced_axes(const ReduceAttrs& attrs, const Shape& shape, std::string_view where);

/// The shape that is left.
Shape reduced_shape(const Shape& shape, unsigned axes, bool keepdim);

/// A contiguous tensor whose elements are [outer, reduced, inner].
struct ReduceView {
  Tensor x;
  int64_t outer = 1, reduced = 1, inner = 1;
};
/// Copies where the axes are apart or x is not contiguous.
ReduceView reduce_view(const Tensor& x, unsigned axes);

/// The sizes of reduce_view without looking at the data.
ReduceView reduce_sizes(const Shape& shape, unsigned axes);

}  // namespace yiti
