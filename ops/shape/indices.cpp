#include "ops/shape/indices.h"

#include "core/error.h"
#include "ops/shape/cast.h"
#include "ops/shape/contiguous.h"

namespace yiti {

Tensor checked_indices(const Tensor& index, int64_t limit, std::string_view where) {
  const Tensor wide = ops::contiguous(ops::cast(index, DType::kI64));
  const int64_t* values = wide.data<int64_t>();
  for (int64_t i = 0; i < wide.numel(); ++i) {
    if (values[i] < 0 || values[i] >= limit) {
      fail(Code::kOutOfRange, where, "index {} at {}; wants [0, {})", values[i], i, limit);
    }
  }
  return wide;
}

}  // namespace yiti
