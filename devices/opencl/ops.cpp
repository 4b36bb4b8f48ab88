#include "devices/opencl/ops.h"

#include <algorithm>
#include <vector>

namespace yiti::opencl {

std::span<const OpEntry> all_ops() {
  static const std::vector<OpEntry> all = [] {
    std::vector<OpEntry> list;
    for (const auto family :
         {elementwise_ops(), copy_ops(), reduction_ops(), norm_ops(), linear_ops(), gather_ops(),
          attention_ops(), loss_ops(), optimiser_ops(), image_ops()}) {
      list.insert(list.end(), family.begin(), family.end());
    }
    return list;
  }();
  return all;
}

const OpEntry* find_op(std::string_view name) {
  const auto ops = all_ops();
  const auto found = std::ranges::find_if(ops, [&](const OpEntry& op) { return op.name == name; });
  return found == ops.end() ? nullptr : &*found;
}

}  // namespace yiti::opencl
