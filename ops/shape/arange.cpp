#include "ops/shape/arange.h"

#include "core/error.h"
#include "ops/host_values.h"

namespace yiti::ops {

Tensor arange(double start, double step, int64_t count, DType dtype, const DevicePtr& device) {
  check(count >= 0, "arange", "count is {}", count);
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = start + step * static_cast<double>(i);
  return of_doubles(values, {count}, dtype, device);
}

}  // namespace yiti::ops
