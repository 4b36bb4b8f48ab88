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
/// Gradients of watched tensors add up over several backward passes until cleared. What no tensor
/// leads to any more is forgotten, so that one tape may follow a whole program. One thread at a
/// time; several tapes may work in several threads.
class Tape final : public Recorder, public std::enable_shared_from_this<Tape> {
 public:
  static std::shared_ptr<Tape> create() { return std::shared_ptr<Tape>(new Tape); }

  /// `tensor`, traced: its gradient will be wanted. Throws kInvalidArgument unless floating.
  Tensor watch(const Tensor& tensor);
  /// Adds d(output)/d(watched) to each watched tensor's gradient and forgets the ops that led to
  /// `output`. `seed` is its gradient, and may be left out when it has one element. Throws
  /// kFailedPrecondition when output does not depend on a watched tensor, or through ops that an
  /// earlier call has forgotten.
  void backward(const Tensor& output, Tensor seed = {});
  /// d(output)/d(watched) for each of `watched`, undefined where output does not depend on it. The
  /// gradients that were gathered stay as they are; all else is as with backward.
  std::vector<Tensor> gradients(const Tensor& output, std::span<const Tensor> watched,
                                Tensor seed = {});
  /// Whether the tensor was watched here, rather than made from others.
  bool watches(const Tensor& tensor) const;
  /// Whether the tensor is followed here.
  bool follows(const Tensor& tensor) const { return id_of(tensor) >= 0; }
  /// The gradient gathered for a watched tensor; undefined when there is none yet.
  Tensor grad(const Tensor& watched) const;
  /// Replaces it; undefined: forgets it. Throws kInvalidArgument unless `watched` is watched and
  /// the gradient of its shape and dtype.
  void set_grad(const Tensor& watched, Tensor grad);
  /// Forgets gradients and recorded ops; watched tensors stay watched.
  void clear();

  /// f(x), keeping only x: f runs again during the backward pass. f must depend on nothing but x
  /// and watched tensors, and give the same bits again.
  Tensor checkpoint(const std::function<Tensor(const Tensor&)>& f, const Tensor& x);

  /// What an op's gradient is: see Op::Gradient.
  using Backward = std::function<std::vector<Tensor>(const GradArgs&)>;
  /// Follows `outputs` as made from `inputs` by something that is not an op; `backward` gets all of
  /// them as meta tensors. Does nothing where no input is followed.
  void record_function(std::string name, std::span<const Tensor> inputs, std::span<Tensor> outputs,
                       Backward backward);

  /// Bytes that the recorded ops keep for the backward pass.
  size_t saved_bytes() const;

  bool shape_only() const override { return false; }
  bool active() const override { return !paused_; }
  void record(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs,
              std::span<Tensor> outputs) override;

 private:
  struct Node {
    std::string name;
    Backward backward;
    Attrs attrs;
    std::vector<Tensor> in, out;                    // saved, or shape only; never traced
    std::vector<int64_t> in_ids, out_ids;           // -1: not followed
    std::vector<std::weak_ptr<const Trace>> alive;  // tensors that lead to the outputs
    const Op* cheap = nullptr;                      // computes `out` again, if need be
    std::vector<size_t> left_out;  // inputs to be saved that are computed again instead
  };

  Tape() = default;
  int64_t id_of(const Tensor& tensor) const;
  int64_t trace(Tensor& tensor);
  void add_output(Node& node, Tensor& output);
  void add_node(Node node);
  void check_whole(int64_t id) const;
  void sweep();
  void run_backward(size_t from);
  void run_node(Node node);
  void bring_back(Node& node);
  Tensor compute_again(int64_t id);
  std::vector<Tensor> gathered_in_place(const std::vector<int64_t>& ids) const;
  void accumulate(int64_t id, Tensor grad);

  std::vector<Node> nodes_;
  std::unordered_map<int64_t, size_t> cheap_;  // outputs of cheap ops: their nodes
  std::unordered_map<int64_t, std::weak_ptr<const Trace>> watched_;
  std::unordered_map<int64_t, Tensor> grads_;
  int64_t next_id_ = 0;
  size_t sweep_at_ = 256;  // nodes and watched tensors
  bool running_ = false;   // backwards
  bool paused_ = false;
};

}  // namespace yiti
