// Attributes that several shape ops share.
#pragma once

#include "core/attrs.h"

namespace yiti {

struct AxisAttrs {
  int64_t axis = 0;  ///< negative: from the end
  void visit(AttrVisitor& v) { v.field("axis", axis); }
};

struct SizesAttrs {
  std::vector<int64_t> sizes;
  void visit(AttrVisitor& v) { v.field("sizes", sizes); }
};

}  // namespace yiti
