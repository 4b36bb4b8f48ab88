#include "training/language_trainer.h"

#include "core/error.h"
#include "models/lora.h"
#include "ops/reduce/reduce.h"

namespace yiti {

TrainingInputs to_inputs(const Batch& batch, const DevicePtr& device) {
  const auto length = static_cast<int64_t>(batch.tokens.size());
  return {Tensor::from(batch.tokens, {length}, device),
          Tensor::from(batch.positions, {length}, device),
          Tensor::from(batch.labels, {length}, device)};
}

LanguageTrainer::LanguageTrainer(ModelPtr model, const LanguageTrainerOptions& options)
    : model_(std::move(model)),
      parameters_(model_->store(), lora_parameters(*model_->store()), options),
      recompute_layers_(options.recompute_layers) {}

StepResult LanguageTrainer::step(std::span<const Batch> micro_batches, double lr,
                                 TokenAccuracy* accuracy) {
  const Gate::Training training = parameters_.begin_training();
  StepResult result;
  parameters_.begin_step();
  for (const Batch& batch : micro_batches) {
    result.tokens += static_cast<int64_t>(batch.tokens.size());
    result.trained_tokens += batch.trained_tokens;
    if (batch.trained_tokens == 0) continue;
    const TrainingInputs inputs = to_inputs(batch, model_->device());
    TrainingContext context(*model_, parameters_.base(), inputs, parameters_.tape(),
                            &parameters_.watched(), recompute_layers_);
    context.count_right_tokens(accuracy);
    parameters_.accumulate(ops::sum((*model_)(inputs.tokens, context)), batch.trained_tokens);
  }
  check(result.trained_tokens > 0, "trainer", "the batch has no token to train on");
  const Trainer::Step step = parameters_.update(lr);
  result.loss = step.loss;
  result.grad_norm = step.grad_norm;
  return result;
}

double LanguageTrainer::evaluate(std::span<const Batch> batches, TokenAccuracy* accuracy) const {
  const Gate::Training training = parameters_.begin_training();
  double loss_sum = 0;
  int64_t count = 0;
  const ParameterValues values = parameters_.values();
  for (const Batch& batch : batches) {
    if (batch.trained_tokens == 0) continue;
    const TrainingInputs inputs = to_inputs(batch, model_->device());
    TrainingContext context(*model_, parameters_.base(), inputs, nullptr, &values);
    context.count_right_tokens(accuracy);
    loss_sum += ops::sum((*model_)(inputs.tokens, context)).item();
    count += batch.trained_tokens;
  }
  check(count > 0, "trainer", "the evaluation data has no token with a loss");
  return loss_sum / static_cast<double>(count);
}

}  // namespace yiti
