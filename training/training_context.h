// A training step's side of the seam: packed documents, every token's loss.
#pragma once

#include <memory>
#include <unordered_map>

#include "autograd/tape.h"
#include "models/language_model.h"
#include "training/token_accuracy.h"

namespace yiti {

/// Documents one after the other. labels [T] i32, -100 where no loss is wanted.
struct TrainingInputs {
  Tensor tokens, positions, labels;  ///< [T] i32 each; labels undefined: logits instead of losses
};

/// Runs a model on packed documents. With a tape, the parameters in `trained` are watched and
/// layers may be computed again in the backward pass; without, it is a plain forward. Must outlive
/// the backward pass.
class TrainingContext final : public Context {
 public:
  using Watched = std::unordered_map<int32_t, Tensor>;  ///< by Parameter::index

  TrainingContext(const LanguageModel& model, VersionPtr version, TrainingInputs inputs,
                  std::shared_ptr<Tape> tape = nullptr, const Watched* trained = nullptr,
                  bool recompute_layers = false);

  Tensor parameter(Parameter p) override;
  Tensor positions() override { return inputs_.positions; }
  Tensor attend(const AttentionSpec& spec, const Tensor& q, const Tensor& k,
                const Tensor& v) override;
  /// Each token's loss [T] (0 where the label is -100), or logits [T, vocab] without labels.
  Tensor predict(const Tensor& x, const Linear& head) override;
  Tensor recompute(const std::function<Tensor(const Tensor&)>& f, const Tensor& x) override;

  /// Has predict() count right tokens, too, into `accuracy`; see TokenAccuracy::count.
  void count_right_tokens(TokenAccuracy* accuracy) { accuracy_ = accuracy; }

 private:
  const LanguageModel& model_;
  VersionPtr version_;
  TrainingInputs inputs_;
  std::shared_ptr<Tape> tape_;
  const Watched* trained_;
  bool recompute_layers_;
  TokenAccuracy* accuracy_ = nullptr;
};

}  // namespace yiti
