// Gradients against central differences, in float64.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/op.h"

namespace yiti {

/// The defaults are those of torch.autograd.gradcheck.
struct GradcheckOptions {
  double step = 1e-6;
  double atol = 1e-5;
  double rtol = 1e-3;
};

/// What a gradcheck found.
struct GradcheckReport {
  int64_t compared = 0;  ///< elements
  double worst = 0;      ///< the largest |got - wanted| / (atol + rtol |wanted|): passes up to 1
};

/// Compares the gradient of sum(weights * f(inputs)) with respect to `inputs[which]` (f64) with
/// central differences; the weights are fixed pseudo-random numbers. f may return several tensors,
/// of which the f64 ones count, and must give the same values again. kInternal names `name`, input,
/// element, got and wanted where they differ; other errors are those of f and of its gradient.
Result<GradcheckReport> gradcheck(
    const std::string& name, const std::function<std::vector<Tensor>(std::span<const Tensor>)>& f,
    std::span<const Tensor> inputs, size_t which, const GradcheckOptions& options = {});

/// The same for an op. Saved outputs do not count.
Result<GradcheckReport> gradcheck(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs,
                                  size_t which, const GradcheckOptions& options = {});

}  // namespace yiti
