// What training any model comes down to: gradients of losses, clipping, an optimiser, versions.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "autograd/tape.h"
#include "core/gate.h"
#include "core/parameters.h"
#include "training/optimizer.h"

namespace yiti {

struct TrainerOptions {
  OptimizerOptions optimizer;
  double max_grad_norm = 1.0;  ///< 0: gradients are not clipped
  std::shared_ptr<Gate> gate;  ///< where training yields to serving; may be null
};

/// Tensors by Parameter::index.
using ParameterValues = std::unordered_map<int32_t, Tensor>;

/// Trains parameters of a store, by losses that its user computes from watched(). Works on its own
/// copy of what it trains; the store's versions change when it publishes. One thread at a time,
/// beside any number of readers of the store.
class Trainer {
 public:
  struct Step {
    double loss = 0;       ///< the mean
    double grad_norm = 0;  ///< of the mean loss, before clipping
  };

  /// Trains `names`; an empty list stands for all of the store's parameters. Throws
  /// kFailedPrecondition, with what to do, when one of them is not float32.
  Trainer(StorePtr store, std::vector<std::string> names, const TrainerOptions& options);

  /// Forgets the gradients of the last step, and what the tape recorded: losses are computed after
  /// it.
  void begin_step();
  /// Adds the gradients of a loss (one element) that was computed from watched() and is a sum over
  /// `count` samples.
  void accumulate(const Tensor& loss, int64_t count);
  /// One optimiser step at this learning rate for the mean over all samples since begin_step().
  /// Throws kInvalidArgument where there were none or no loss led to a parameter, and kDataLoss
  /// where loss or gradients are not finite; the parameters then stay as they are.
  Step update(double lr);
  /// Makes what was trained so far the store's next version.
  VersionPtr publish();

  /// The parameters that are trained: watched by the tape, for losses.
  const ParameterValues& watched() const { return watched_; }
  /// The same, not watched: for evaluation.
  ParameterValues values() const;
  const std::shared_ptr<Tape>& tape() const { return tape_; }
  /// The version that training began with.
  const VersionPtr& base() const { return base_; }
  /// The names of what is trained, in order.
  const std::vector<std::string>& names() const { return names_; }
  int64_t trained_elements() const;
  int64_t steps() const { return steps_; }
  /// The gradient of the last step's summed loss for parameter `name`; undefined where it has none.
  Tensor last_gradient(const std::string& name) const;
  /// While it lives, what the calling thread does yields to serving.
  Gate::Training begin_training() const { return Gate::Training(options_.gate); }

  /// Everything that the next step depends on: parameters and optimiser state.
  std::vector<std::pair<std::string, Tensor>> state() const;
  /// The inverse. Throws kInvalidArgument for tensors that do not fit.
  void restore(const std::vector<std::pair<std::string, Tensor>>& state, int64_t steps);

 private:
  StorePtr store_;
  TrainerOptions options_;
  VersionPtr base_;
  std::vector<std::string> names_;
  std::vector<Parameter> parameters_;
  std::vector<Tensor> values_;
  std::unique_ptr<Optimizer> optimizer_;
  std::shared_ptr<Tape> tape_;
  ParameterValues watched_;
  double loss_sum_ = 0;  // since begin_step()
  int64_t count_ = 0;
  int64_t steps_ = 0;
};

}  // namespace yiti
