#include "training/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "models/lora.h"
#include "ops/optim/square_sum.h"
#include "ops/reduce/reduce.h"

namespace yiti {
namespace {

Tensor copy_of(const Tensor& tensor) {
  const Tensor copy = Tensor::empty(tensor.shape(), tensor.dtype(), tensor.device());
  std::vector<std::byte> host(tensor.bytes());
  tensor.copy_to_host(host);
  copy.device()->copy_from_host(copy.raw(), host.data(), host.size());
  return copy;
}

double gradient_norm(const std::vector<Tensor>& gradients) {
  double total = 0;
  for (const Tensor& gradient : gradients) {
    if (gradient.defined()) total += ops::square_sum(gradient).item();
  }
  return std::sqrt(total);
}

}  // namespace

TrainingInputs to_inputs(const Batch& batch, const DevicePtr& device) {
  const auto length = static_cast<int64_t>(batch.tokens.size());
  return {Tensor::from(batch.tokens, {length}, device),
          Tensor::from(batch.positions, {length}, device),
          Tensor::from(batch.labels, {length}, device)};
}

Trainer::Trainer(ModelPtr model, const TrainerOptions& options)
    : model_(std::move(model)), options_(options), base_(model_->store()->current()) {
  names_ = lora_parameters(*model_->store());
  if (names_.empty()) names_ = model_->store()->names();
  for (const std::string& name : names_) {
    const Parameter p = model_->store()->at(name);
    const Tensor& value = (*base_)[p];
    if (value.dtype() != DType::kF32) {
      fail(Code::kFailedPrecondition, "trainer",
           "{} is {}, which cannot be trained: train an adapter, or load the model dequantised",
           name, yiti::name(value.dtype()));
    }
    parameters_.push_back(p);
    values_.push_back(copy_of(value));
  }
  optimizer_ = make_optimizer(options_.optimizer, values_);
  tape_ = Tape::create();
  if (options_.gate) {
    tape_->set_between_ops(
        [gate = options_.gate, wait = options_.max_yield_ms] { gate->yield(wait); });
  }
  for (size_t i = 0; i < values_.size(); ++i)
    watched_[parameters_[i].index] = tape_->watch(values_[i]);
}

int64_t Trainer::trained_elements() const {
  int64_t count = 0;
  for (const Tensor& value : values_) count += value.numel();
  return count;
}

// Leaves the gradients of the sum of the losses on the tape.
StepResult Trainer::accumulate(std::span<const Batch> micro_batches) {
  StepResult result;
  double loss_sum = 0;
  for (const Batch& batch : micro_batches) {
    result.tokens += static_cast<int64_t>(batch.tokens.size());
    result.trained_tokens += batch.trained_tokens;
    if (batch.trained_tokens == 0) continue;
    const TrainingInputs inputs = to_inputs(batch, model_->device());
    TrainingContext context(*model_, base_, inputs, tape_, &watched_, options_.recompute_layers);
    const Tensor total = ops::sum((*model_)(inputs.tokens, context));
    loss_sum += total.item();
    tape_->backward(total);
  }
  check(result.trained_tokens > 0, "trainer", "the batch has no token to train on");
  result.loss = loss_sum / static_cast<double>(result.trained_tokens);
  return result;
}

StepResult Trainer::step(std::span<const Batch> micro_batches, double lr) {
  tape_->clear();
  StepResult result = accumulate(micro_batches);
  std::vector<Tensor> gradients;
  for (const Parameter p : parameters_) gradients.push_back(tape_->grad(watched_.at(p.index)));
  const double mean = 1 / static_cast<double>(result.trained_tokens);
  result.grad_norm = gradient_norm(gradients) * mean;
  if (!std::isfinite(result.loss) || !std::isfinite(result.grad_norm)) {
    fail(Code::kDataLoss, "trainer",
         "step {}: loss {} and gradient norm {} are not finite; the parameters were left as they "
         "are: try a lower learning rate",
         steps_ + 1, result.loss, result.grad_norm);
  }
  // As torch's clip_grad_norm_.
  const double clip = options_.max_grad_norm > 0
                          ? std::min(1.0, options_.max_grad_norm / (result.grad_norm + 1e-6))
                          : 1.0;
  optimizer_->update(values_, gradients, lr, mean * clip, ++steps_);
  return result;
}

double Trainer::evaluate(std::span<const Batch> batches) const {
  double loss_sum = 0;
  int64_t count = 0;
  TrainingContext::Watched values;
  for (size_t i = 0; i < values_.size(); ++i) values[parameters_[i].index] = values_[i];
  for (const Batch& batch : batches) {
    if (batch.trained_tokens == 0) continue;
    const TrainingInputs inputs = to_inputs(batch, model_->device());
    TrainingContext context(*model_, base_, inputs, nullptr, &values);
    loss_sum += ops::sum((*model_)(inputs.tokens, context)).item();
    count += batch.trained_tokens;
    if (options_.gate) options_.gate->yield(options_.max_yield_ms);
  }
  check(count > 0, "trainer", "the evaluation data has no token with a loss");
  return loss_sum / static_cast<double>(count);
}

VersionPtr Trainer::publish() {
  std::vector<std::pair<Parameter, Tensor>> changes;
  for (size_t i = 0; i < values_.size(); ++i)
    changes.emplace_back(parameters_[i], copy_of(values_[i]));
  return model_->store()->publish(changes);
}

Tensor Trainer::last_gradient(const std::string& name) const {
  return tape_->grad(watched_.at(model_->store()->at(name).index));
}

std::vector<std::pair<std::string, Tensor>> Trainer::state() const {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (size_t i = 0; i < names_.size(); ++i) tensors.emplace_back(names_[i], values_[i]);
  for (const auto& [kind, state] : optimizer_->state()) {
    for (size_t i = 0; i < names_.size(); ++i) {
      tensors.emplace_back("optimizer." + kind + "." + names_[i], state[i]);
    }
  }
  return tensors;
}

void Trainer::restore(const std::vector<std::pair<std::string, Tensor>>& saved, int64_t steps) {
  const auto own = state();
  check(own.size() == saved.size(), "trainer", "got {} state tensors; wants {}", saved.size(),
        own.size());
  for (size_t i = 0; i < own.size(); ++i) {
    check(own[i].first == saved[i].first && own[i].second.shape() == saved[i].second.shape() &&
              saved[i].second.dtype() == own[i].second.dtype(),
          "trainer", "state tensor {} of {}; wants {} of {}", saved[i].first,
          saved[i].second.shape().str(), own[i].first, own[i].second.shape().str());
  }
  for (size_t i = 0; i < own.size(); ++i) {
    std::vector<std::byte> host(saved[i].second.bytes());
    saved[i].second.copy_to_host(host);
    own[i].second.device()->copy_from_host(own[i].second.raw(), host.data(), host.size());
  }
  steps_ = steps;
}

}  // namespace yiti
