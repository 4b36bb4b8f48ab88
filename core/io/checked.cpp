#include "core/io/checked.h"

#include <fmt/ranges.h>

#include <limits>

#include "core/error.h"
#include "core/io/printable.h"

namespace yiti {

Shape checked_shape(std::span<const uint64_t> dims, std::string_view file,
                    std::string_view tensor) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 64;
  int64_t count = 1;
  bool fits = dims.size() <= Shape::kMaxRank;
  for (const uint64_t dim : dims) {
    if (!fits) break;
    if (dim != 0) fits = !__builtin_mul_overflow(count, dim, &count) && count <= kMost;
  }
  if (!fits) {
    fail(Code::kDataLoss, file, "tensor {} is too large: [{}]", printable(tensor),
         fmt::join(dims.first(std::min<size_t>(dims.size(), Shape::kMaxRank)), ", "));
  }
  Shape shape;
  for (const uint64_t dim : dims) shape.push_back(static_cast<int64_t>(dim));
  return shape;
}

}  // namespace yiti
