#include "core/strided_copy.h"

#include <cstring>

namespace yiti {

void copy_strided(std::byte* target, const Tensor& source) {
  if (source.numel() == 0) return;
  if (source.is_contiguous()) {
    std::memcpy(target, source.raw(), source.bytes());
    return;
  }
  const auto element = static_cast<size_t>(info(source.dtype()).block_bytes);
  const std::byte* first = source.raw();
  std::array<int64_t, Shape::kMaxRank> index{};
  int64_t offset = 0;
  int axis = 0;
  while (axis >= 0) {
    std::memcpy(target, first + static_cast<size_t>(offset) * element, element);
    target += element;
    for (axis = source.rank() - 1; axis >= 0; --axis) {
      int64_t& place = index[static_cast<size_t>(axis)];
      offset += source.strides()[axis];
      if (++place < source.dim(axis)) break;
      offset -= source.strides()[axis] * source.dim(axis);
      place = 0;
    }
  }
}

}  // namespace yiti
