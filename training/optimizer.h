// Optimisers: their state, and an update of all parameters in place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace yiti {

struct OptimizerOptions {
  std::string name = "adamw";                     ///< adamw (Loshchilov & Hutter 2019) or sgd
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  ///< adamw
  double momentum = 0;                            ///< sgd
  bool nesterov = false;                          ///< sgd
  double weight_decay = 0.01;                     ///< decoupled (adamw), in the gradient (sgd)
};

/// One thread at a time.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// Updates `parameters` from gradients that are first multiplied by `grad_scale`; `step` counts
  /// from 1. Parameters without a gradient (undefined) stay as they are.
  virtual void update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                      double lr, double grad_scale, int64_t step) = 0;
  /// The state tensors, named "m", "v", … per parameter, in a fixed order.
  virtual std::vector<std::pair<std::string, std::vector<Tensor>>> state() const = 0;
};

/// The norm of all gradients together; undefined ones count as zeros.
double gradient_norm(const std::vector<Tensor>& gradients);
/// What gradients of this norm are multiplied by so that it is at most `max_norm` (0: no bound), as
/// torch's clip_grad_norm_ does.
double clip_scale(double norm, double max_norm);

/// State of zeros for `parameters`. Throws kInvalidArgument for an unknown name or bad numbers.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          const std::vector<Tensor>& parameters);

}  // namespace yiti
