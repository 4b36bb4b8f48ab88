#include "ops/optim/updates.h"

namespace yiti {

Kernel update_kernel(std::string name, DType dtype, void (*run)(const KernelArgs&)) {
  Kernel kernel = cpu_kernel(std::move(name), dtype, run);
  kernel.refuses = [accepts = kernel.refuses](std::span<const Tensor> in,
                                              const Attrs& attrs) -> std::optional<std::string> {
    for (const Tensor& tensor : in) {
      if (tensor.defined() && !tensor.is_contiguous()) return "takes contiguous tensors";
    }
    return accepts(in, attrs);
  };
  return kernel;
}

}  // namespace yiti
