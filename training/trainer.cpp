#include "training/trainer.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/shape_text.h"

namespace yiti {

Trainer::Trainer(StorePtr store, std::vector<std::string> names, const TrainerOptions& options)
    : store_(std::move(store)),
      options_(options),
      base_(store_->current()),
      names_(std::move(names)),
      tape_(Tape::create()) {
  if (names_.empty()) names_ = store_->names();
  for (const std::string& name : names_) {
    const Parameter p = store_->at(name);
    const Tensor& value = (*base_)[p];
    if (value.dtype() != DType::kF32) {
      fail(Code::kFailedPrecondition, "trainer",
           "{} is {}, which cannot be trained: train an adapter, or load the model dequantised",
           name, yiti::name(value.dtype()));
    }
    parameters_.push_back(p);
    values_.push_back(value.copy());
    watched_[p.index] = tape_->watch(values_.back());
  }
  optimizer_ = make_optimizer(options_.optimizer, values_);
}

void Trainer::begin_step() {
  tape_->clear();
  loss_sum_ = 0;
  count_ = 0;
}

void Trainer::accumulate(const Tensor& loss, int64_t count) {
  loss_sum_ += loss.item();
  count_ += count;
  tape_->backward(loss);
}

Trainer::Step Trainer::update(double lr) {
  check(count_ > 0, "trainer", "the step has nothing to train on");
  std::vector<Tensor> gradients;
  for (const Parameter p : parameters_) gradients.push_back(tape_->grad(watched_.at(p.index)));
  check(std::any_of(gradients.begin(), gradients.end(),
                    [](const Tensor& gradient) { return gradient.defined(); }),
        "trainer", "no loss of this step was computed from watched parameters since it began");
  const double mean = 1 / static_cast<double>(count_);
  const Step step{.loss = loss_sum_ / static_cast<double>(count_),
                  .grad_norm = gradient_norm(gradients) * mean};
  if (!std::isfinite(step.loss) || !std::isfinite(step.grad_norm)) {
    fail(Code::kDataLoss, "trainer",
         "step {}: loss {} and gradient norm {} are not finite; the parameters were left as they "
         "are: try a lower learning rate",
         steps_ + 1, step.loss, step.grad_norm);
  }
  const double clip = clip_scale(step.grad_norm, options_.max_grad_norm);
  optimizer_->update(values_, gradients, lr, mean * clip, ++steps_);
  return step;
}

VersionPtr Trainer::publish() {
  std::vector<std::pair<Parameter, Tensor>> changes;
  for (size_t i = 0; i < values_.size(); ++i)
    changes.emplace_back(parameters_[i], values_[i].copy());
  return store_->publish(changes);
}

ParameterValues Trainer::values() const {
  ParameterValues values;
  for (size_t i = 0; i < values_.size(); ++i) values[parameters_[i].index] = values_[i];
  return values;
}

int64_t Trainer::trained_elements() const {
  int64_t count = 0;
  for (const Tensor& value : values_) count += value.numel();
  return count;
}

Tensor Trainer::last_gradient(const std::string& name) const {
  return tape_->grad(watched_.at(store_->at(name).index));
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
          saved[i].second.shape(), own[i].first, own[i].second.shape());
  }
  for (size_t i = 0; i < own.size(); ++i) {
    std::vector<std::byte> host(saved[i].second.bytes());
    saved[i].second.copy_to_host(host);
    own[i].second.device()->copy_from_host(own[i].second.raw(), host.data(), host.size());
  }
  steps_ = steps;
}

}  // namespace yiti
