// One model in training: steps, evaluation, published versions, state that can be saved.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/gate.h"
#include "models/language_model.h"
#include "training/data/packing.h"
#include "training/optimizer.h"
#include "training/training_context.h"

namespace yiti {

struct TrainerOptions {
  OptimizerOptions optimizer;
  double max_grad_norm = 1.0;     ///< 0: gradients are not clipped
  bool recompute_layers = false;  ///< keep only each layer's input for the backward pass
  std::shared_ptr<Gate> gate;     ///< where training yields to serving; may be null
  int max_yield_ms = 200;         ///< the longest wait at one op
};

struct StepResult {
  double loss = 0;       ///< mean over the trained tokens, in nats
  double grad_norm = 0;  ///< before clipping
  int64_t tokens = 0;
  int64_t trained_tokens = 0;
};

/// Trains the adapter of a model that has one, else all of its parameters, which must then be
/// float32. Works on its own copy of what it trains; the store's versions change when it publishes.
/// One thread at a time, beside any number of sessions of the same model.
class Trainer {
 public:
  /// Throws kFailedPrecondition, with what to do, when a parameter to train is not float32.
  Trainer(ModelPtr model, const TrainerOptions& options);

  /// One optimiser step at this learning rate over micro-batches, whose gradients add up as if
  /// they were one batch: the loss is the mean over all their trained tokens. Throws
  /// kInvalidArgument when there is none.
  StepResult step(std::span<const Batch> micro_batches, double lr);
  /// Mean loss over the trained tokens of `batches`.
  double evaluate(std::span<const Batch> batches) const;
  /// Makes what was trained so far the store's next version.
  VersionPtr publish();

  const ModelPtr& model() const { return model_; }
  /// The names of what is trained, in order.
  const std::vector<std::string>& names() const { return names_; }
  int64_t trained_elements() const;
  bool recomputes_layers() const { return options_.recompute_layers; }
  int64_t steps() const { return steps_; }
  /// Of the version that training began with.
  const std::string& base_fingerprint() const { return base_->fingerprint(); }
  /// The gradient of the last step's loss, before clipping, for parameter `name`; undefined where
  /// it has none. For tests and probes.
  Tensor last_gradient(const std::string& name) const;

  /// Everything that the next step depends on: parameters, optimiser state, step count.
  std::vector<std::pair<std::string, Tensor>> state() const;
  /// The inverse. Throws kInvalidArgument for tensors that do not fit.
  void restore(const std::vector<std::pair<std::string, Tensor>>& state, int64_t steps);

 private:
  StepResult accumulate(std::span<const Batch> micro_batches);

  ModelPtr model_;
  TrainerOptions options_;
  VersionPtr base_;  // what is not trained
  std::vector<std::string> names_;
  std::vector<Parameter> parameters_;
  std::vector<Tensor> values_;
  std::unique_ptr<Optimizer> optimizer_;
  std::shared_ptr<Tape> tape_;
  TrainingContext::Watched watched_;
  int64_t steps_ = 0;
};

/// A batch's tensors on a device.
TrainingInputs to_inputs(const Batch& batch, const DevicePtr& device);

}  // namespace yiti
