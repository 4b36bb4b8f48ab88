#include "training/training_context.h"

#include "models/layers.h"
#include "ops/attention/attention.h"
#include "ops/loss/cross_entropy.h"
#include "ops/loss/linear_cross_entropy.h"

namespace yiti {

TrainingContext::TrainingContext(const LanguageModel& model, VersionPtr version,
                                 TrainingInputs inputs, std::shared_ptr<Tape> tape,
                                 const Watched* trained, bool recompute_layers)
    : model_(model),
      version_(std::move(version)),
      inputs_(std::move(inputs)),
      tape_(std::move(tape)),
      trained_(trained),
      recompute_layers_(recompute_layers) {}

Tensor TrainingContext::parameter(Parameter p) {
  if (trained_ != nullptr) {
    if (const auto found = trained_->find(p.index); found != trained_->end()) return found->second;
  }
  return (*version_)[p];
}

Tensor TrainingContext::attend(const AttentionSpec& spec, const Tensor& q, const Tensor& k,
                               const Tensor& v) {
  return ops::attention(q, k, v, inputs_.positions, spec.scale, spec.window, model_.profile().kv);
}

Tensor TrainingContext::predict(const Tensor& x, const Linear& head) {
  if (!inputs_.labels.defined()) return head(x, *this);
  if (accuracy_ != nullptr) accuracy_->count(x, head, inputs_.labels, *this);
  if (head.lora_a.defined() || head.bias.defined()) {
    return ops::cross_entropy(head(x, *this), inputs_.labels);
  }
  return ops::linear_cross_entropy(x, parameter(head.weight), inputs_.labels,
                                   head.exact_activations);
}

Tensor TrainingContext::recompute(const std::function<Tensor(const Tensor&)>& f, const Tensor& x) {
  return tape_ && recompute_layers_ ? tape_->checkpoint(f, x) : f(x);
}

}  // namespace yiti
