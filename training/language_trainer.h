// One model in training: steps, evaluation, published versions, state that can be saved.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "models/language_model.h"
#include "training/data/packing.h"
#include "training/trainer.h"
#include "training/training_context.h"

namespace yiti {

struct LanguageTrainerOptions : TrainerOptions {
  bool recompute_layers = false;  ///< keep only each layer's input for the backward pass
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
class LanguageTrainer {
 public:
  /// Throws kFailedPrecondition, with what to do, when a parameter to train is not float32.
  LanguageTrainer(ModelPtr model, const LanguageTrainerOptions& options);

  /// One optimiser step at this learning rate over micro-batches, whose gradients add up as if
  /// they were one batch: the loss is the mean over all their trained tokens. Throws
  /// kInvalidArgument when there is none. `accuracy`, where it is given, counts what the parameters
  /// before the step predict.
  StepResult step(std::span<const Batch> micro_batches, double lr,
                  TokenAccuracy* accuracy = nullptr);
  /// Mean loss over the trained tokens of `batches`.
  double evaluate(std::span<const Batch> batches, TokenAccuracy* accuracy = nullptr) const;
  /// Makes what was trained so far the store's next version.
  VersionPtr publish() { return parameters_.publish(); }

  const ModelPtr& model() const { return model_; }
  /// The names of what is trained, in order.
  const std::vector<std::string>& names() const { return parameters_.names(); }
  int64_t trained_elements() const { return parameters_.trained_elements(); }
  bool recomputes_layers() const { return recompute_layers_; }
  int64_t steps() const { return parameters_.steps(); }
  /// Of the version that training began with.
  const std::string& base_fingerprint() const { return parameters_.base()->fingerprint(); }
  /// The gradient of the last step's loss, before clipping, for parameter `name`; undefined where
  /// it has none. For tests and probes.
  Tensor last_gradient(const std::string& name) const { return parameters_.last_gradient(name); }

  /// Everything that the next step depends on: parameters, optimiser state, step count.
  std::vector<std::pair<std::string, Tensor>> state() const { return parameters_.state(); }
  /// The inverse. Throws kInvalidArgument for tensors that do not fit.
  void restore(const std::vector<std::pair<std::string, Tensor>>& state, int64_t steps) {
    parameters_.restore(state, steps);
  }

 private:
  ModelPtr model_;
  Trainer parameters_;
  bool recompute_layers_;
};

/// A batch's tensors on a device.
TrainingInputs to_inputs(const Batch& batch, const DevicePtr& device);

}  // namespace yiti
