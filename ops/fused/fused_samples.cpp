#include "ops/fused/fused_samples.h"

#include "ops/host_values.h"
#include "ops/linear/linear.h"
#include "ops/linear/linear_reference.h"
#include "ops/linear/panels.h"

namespace yiti {

Sample quantised_group_sample(int64_t rows, std::vector<DType> dtypes, std::vector<int64_t> outputs,
                              bool panels) {
  constexpr int64_t kColumns = 96;
  Sample sample;
  sample.attrs = LinearAttrs{};
  sample.make = [=](DType floats, const DevicePtr& device) {
    std::vector<double> x;
    for (int64_t i = 0; i < rows * kColumns; ++i) {
      x.push_back(0.1 * static_cast<double>(i * 37 % 61 - 30));
    }
    std::vector<Tensor> in{of_doubles(x, {rows, kColumns}, floats, device)};
    for (size_t i = 0; i < dtypes.size(); ++i) {
      const Tensor weight = random_quantised(dtypes[i], outputs[i], kColumns, 11 + i, device);
      in.push_back(panels ? pack_panels(weight) : weight);
    }
    return in;
  };
  return sample;
}

}  // namespace yiti
