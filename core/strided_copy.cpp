#include "core/strided_copy.h"

#include <cstring>

namespace yiti {
namespace {

// Calls f(byte offset of the element in the strided tensor) for each element in row-major order.
template <class F>
void for_each_offset(const Tensor& tensor, size_t element, F&& f) {
  const int rank = tensor.rank();
  if (tensor.numel() == 0) return;
  std::array<int64_t, Shape::kMaxRank> index{};
  int64_t offset = 0;
  while (true) {
    f(static_cast<size_t>(offset) * element);
    int axis = rank - 1;
    for (; axis >= 0; --axis) {
      const size_t a = static_cast<size_t>(axis);
      offset += tensor.strides()[axis];
      if (++index[a] < tensor.dim(axis)) break;
      offset -= tensor.strides()[axis] * tensor.dim(axis);
      index[a] = 0;
    }
    if (axis < 0) return;
  }
}

}  // namespace

void copy_strided(std::byte* target, const Tensor& source) {
  if (source.numel() == 0) return;
  if (source.is_contiguous()) {
    std::memcpy(target, source.raw(), source.bytes());
    return;
  }
  const size_t element = static_cast<size_t>(info(source.dtype()).block_bytes);
  const std::byte* first = source.raw();
  for_each_offset(source, element, [&](size_t offset) {
    std::memcpy(target, first + offset, element);
    target += element;
  });
}

}  // namespace yiti
