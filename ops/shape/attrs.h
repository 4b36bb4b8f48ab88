// Attributes that several shape ops share.
#pragma once

#include "core/attrs.h"
#include "core/shape.h"
#include "core/shape_text.h"

namespace yiti {

struct AxisAttrs {
  int64_t axis = 0;  ///< negative: from the end
  void visit(AttrVisitor& v) { v.field("axis", axis); }
};

struct SizesAttrs {
  std::vector<int64_t> sizes;
  void visit(AttrVisitor& v) { v.field("sizes", sizes); }
};

/// The non-negative form of an op's axis. Throws kInvalidArgument naming the op.
inline int axis_of(const Shape& shape, int64_t axis, std::string_view op) {
  check(axis >= -shape.rank() && axis < shape.rank(), op, "axis {} of {}, which has {} axes", axis,
        shape, shape.rank());
  return static_cast<int>(axis < 0 ? axis + shape.rank() : axis);
}

}  // namespace yiti
