// Reverse-mode differentiation: a tape of the ops that traced tensors went through.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/op.h"
#include "core/recorder.h"

namespace yiti {

/// Records ops on the tensors it watches and what follows from them, then walks them backwards.
/// Gradients of watched tensors add up over several backward passes until cleared. One thread at
/// a time; several tapes may work in several threads.
class Tape final : public Recorder, public std::enable_shared_from_this<Tape> {
 public:
  static std::shared_ptr<Tape> create() { return std::shared_ptr<Tape>(new Tape); }

  /// `tensor`, traced: its gradient will be wanted. Throws kInvalidArgument unless floating.
  Tensor watch(const Tensor& tensor);
  /// Adds d(output)/d(watched) to each watched tensor's gradient and forgets the recorded ops.
  /// `seed` is the gradient of `output`, and may be left out when output has one element.
  /// Throws kFailedPrecondition when output does not depend on a watched tensor.
  void backward(const Tensor& output, Tensor seed = {});
  /// The gradient gathered for a watched tensor; undefined when there is none yet.
  Tensor grad(const Tensor& watched) const;
  /// Forgets gradients and recorded ops; watched tensors stay watched.
  void clear();

  /// f(x), keeping only x: f runs again during the backward pass. f must depend on nothing but x
  /// and watched tensors, and give the same bits again.
  Tensor checkpoint(const std::function<Tensor(const Tensor&)>& f, const Tensor& x);

  /// Bytes that the recorded ops keep for the backward pass.
  size_t saved_bytes() const;

  bool shape_only() const override { return false; }
  bool active() const override { return !paused_; }
  void record(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs,
              std::span<Tensor> outputs) override;

 private:
  using Backward = std::function<std::vector<Tensor>(const GradArgs&)>;
  struct Node {
    std::string name;
    Backward backward;
    Attrs attrs;
    std::vector<Tensor> in, out;           // saved, or shape only; never traced
    std::vector<int64_t> in_ids, out_ids;  // -1: not followed
    const Op* cheap = nullptr;             // computes `out` again, if need be
    std::vector<size_t> left_out;          // inputs to be saved that are computed again instead
  };

  Tape() = default;
  int64_t id_of(const Tensor& tensor) const;
  void trace(Tensor& tensor, int64_t id);
  void run_backward(size_t from);
  void run_node(Node node);
  void bring_back(Node& node);
  Tensor compute_again(int64_t id);
  void accumulate(int64_t id, Tensor grad);

  std::vector<Node> nodes_;
  std::unordered_map<int64_t, size_t> cheap_;  // outputs of cheap ops: their nodes
  std::unordered_map<int64_t, Tensor> grads_;
  int64_t next_id_ = 0;
  bool paused_ = false;
};

}  // namespace yiti
