#include "ops/op_list.h"

#include <algorithm>
#include <vector>

namespace yiti {

std::span<const Op* const> all_ops() {
  static const std::vector<const Op*> list = {
      // One line an op.
  };
  return list;
}

const Op* find_op(std::string_view name) {
  const auto ops = all_ops();
  const auto found = std::find_if(ops.begin(), ops.end(), [&](const Op* op) { return op->name == name; });
  return found == ops.end() ? nullptr : *found;
}

}  // namespace yiti
