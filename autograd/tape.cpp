#include "autograd/tape.h"

#include <algorithm>

#include "core/error.h"
#include "ops/elementwise/binary.h"

namespace yiti {
namespace {

// Sets a flag for a scope.
class Scoped {
 public:
  Scoped(bool& flag, bool value) : flag_(flag), before_(flag) { flag_ = value; }
  ~Scoped() { flag_ = before_; }
  Scoped(const Scoped&) = delete;
  Scoped& operator=(const Scoped&) = delete;

 private:
  bool& flag_;
  bool before_;
};

bool contains(const std::vector<int>& list, size_t index) {
  return std::find(list.begin(), list.end(), static_cast<int>(index)) != list.end();
}

// What the gradient may read of each tensor: the data where it is saved, else the shape.
std::vector<Tensor> keep(std::span<const Tensor> tensors, const std::vector<int>& saved) {
  std::vector<Tensor> kept;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].defined()) {
      kept.emplace_back();
    } else {
      kept.push_back(contains(saved, i) ? tensors[i].detached() : tensors[i].as_meta());
    }
  }
  return kept;
}

}  // namespace

void Tape::trace(Tensor& tensor, int64_t id) {
  tensor.set_trace(std::make_shared<Trace>(Trace{shared_from_this(), id}));
}

int64_t Tape::id_of(const Tensor& tensor) const {
  const bool ours = tensor.defined() && tensor.trace() && tensor.trace()->recorder.get() == this;
  return ours ? tensor.trace()->id : -1;
}

Tensor Tape::watch(const Tensor& tensor) {
  check(is_floating(tensor.dtype()), "autograd",
        "cannot watch {}: only floating types have gradients", name(tensor.dtype()));
  Tensor watched = tensor;
  trace(watched, next_id_++);
  return watched;
}

void Tape::record(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs,
                  std::span<Tensor> outputs) {
  const bool floating_output = std::any_of(outputs.begin(), outputs.end(), [](const Tensor& t) {
    return t.defined() && is_floating(t.dtype());
  });
  if (!op.gradient) {
    if (floating_output) {
      fail(Code::kUnimplemented, op.name,
           "has no gradient, and one is wanted of its inputs; detach them to go on without");
    }
    return;
  }
  // The last input's index stands for all that a variadic op was given.
  std::vector<int> saved_inputs = op.saved_inputs;
  if (op.variadic && contains(saved_inputs, op.inputs.size() - 1)) {
    for (size_t i = op.inputs.size(); i < inputs.size(); ++i) {
      saved_inputs.push_back(static_cast<int>(i));
    }
  }
  Node node;
  node.name = op.name;
  node.backward = op.gradient;
  node.attrs = attrs;
  std::erase_if(saved_inputs, [&](int i) {
    const bool again = cheap_.contains(id_of(inputs[static_cast<size_t>(i)]));
    if (again) node.left_out.push_back(static_cast<size_t>(i));
    return again;
  });
  node.in = keep(inputs, saved_inputs);
  for (const Tensor& input : inputs) node.in_ids.push_back(id_of(input));
  node.out = keep(outputs, op.saved_outputs);
  for (Tensor& output : outputs) {
    const bool follow = output.defined() && is_floating(output.dtype());
    node.out_ids.push_back(follow ? next_id_ : -1);
    if (follow && op.cheap) cheap_.emplace(next_id_, nodes_.size());
    if (follow) trace(output, next_id_++);
  }
  if (op.cheap) node.cheap = &op;
  nodes_.push_back(std::move(node));
}

Tensor Tape::checkpoint(const std::function<Tensor(const Tensor&)>& f, const Tensor& x) {
  if (paused_) return f(x);
  Tensor y;
  {
    const Scoped pause(paused_, true);
    y = f(x.detached()).detached();
  }
  Node node;
  node.name = "checkpoint";
  node.in = {x.detached()};
  node.in_ids = {id_of(x)};
  node.out = {y.as_meta()};
  node.out_ids = {next_id_};
  trace(y, next_id_++);
  node.backward = [this, f](const GradArgs& args) -> std::vector<Tensor> {
    const size_t base = nodes_.size();
    const Tensor again = watch(args.in[0]);
    const Tensor result = f(again);
    const int64_t id = id_of(result);
    if (id < 0) return {Tensor()};
    accumulate(id, args.grad_out[0]);
    run_backward(base);
    Tensor grad = this->grad(again);
    grads_.erase(id_of(again));
    return {args.wanted[0] ? grad : Tensor()};
  };
  nodes_.push_back(std::move(node));
  return y;
}

void Tape::accumulate(int64_t id, Tensor grad) {
  grad.set_trace(nullptr);
  const auto [entry, fresh] = grads_.try_emplace(id, grad);
  if (fresh) return;
  Tensor& sum = entry->second;
  if (sum.storage().use_count() == 1 && sum.is_contiguous()) {
    add_op().run_into(std::vector{sum, grad}, {}, std::vector{sum});
  } else {
    sum = ops::add(sum, grad);
  }
}

Tensor Tape::compute_again(int64_t id) {
  Node& node = nodes_[cheap_.at(id)];
  const auto place = std::find(node.out_ids.begin(), node.out_ids.end(), id);
  const auto index = static_cast<size_t>(place - node.out_ids.begin());
  if (!node.out[index].has_storage()) {
    bring_back(node);
    node.out[index] = (*node.cheap)(node.in, node.attrs)[index];
  }
  return node.out[index];
}

void Tape::bring_back(Node& node) {
  for (const size_t i : node.left_out) node.in[i] = compute_again(node.in_ids[i]);
}

void Tape::run_node(Node node) {
  std::vector<Tensor> grad_out;
  bool any = false;
  for (int64_t id : node.out_ids) {
    const auto found = grads_.find(id);
    grad_out.push_back(found == grads_.end() ? Tensor() : found->second);
    any = any || grad_out.back().defined();
    if (found != grads_.end()) grads_.erase(found);
  }
  for (int64_t id : node.out_ids) cheap_.erase(id);
  if (!any) return;
  bring_back(node);
  std::vector<bool> wanted;
  for (int64_t id : node.in_ids) wanted.push_back(id >= 0);
  std::vector<Tensor> grads = node.backward({node.in, node.out, grad_out, node.attrs, wanted});
  grad_out.clear();
  node.out.clear();
  if (grads.size() != node.in.size()) {
    fail(Code::kInternal, node.name, "its gradient gave {} tensors for {} inputs", grads.size(),
         node.in.size());
  }
  for (size_t i = 0; i < grads.size(); ++i) {
    if (!wanted[i]) continue;
    if (!grads[i].defined()) {
      fail(Code::kInternal, node.name, "its gradient left out input {}", i);
    }
    if (!(grads[i].shape() == node.in[i].shape())) {
      fail(Code::kInternal, node.name, "its gradient of input {} is {}; wants {}", i,
           grads[i].shape().str(), node.in[i].shape().str());
    }
    accumulate(node.in_ids[i], std::move(grads[i]));
  }
}

void Tape::run_backward(size_t from) {
  while (nodes_.size() > from) {
    Node node = std::move(nodes_.back());
    nodes_.pop_back();
    run_node(std::move(node));
  }
}

void Tape::backward(const Tensor& output, Tensor seed) {
  const int64_t id = id_of(output);
  if (id < 0) {
    fail(Code::kFailedPrecondition, "autograd",
         "the output {} depends on no watched tensor: there is nothing to differentiate",
         output.shape().str());
  }
  if (!seed.defined()) {
    check(output.numel() == 1, "autograd", "a seed is needed for an output of shape {}",
          output.shape().str());
    seed = Tensor::full(output.shape(), 1.0, output.dtype(), output.device());
  }
  check(seed.shape() == output.shape() && seed.dtype() == output.dtype(), "autograd",
        "the seed is {} of {}; wants {} of {}", seed.shape().str(), name(seed.dtype()),
        output.shape().str(), name(output.dtype()));
  accumulate(id, seed);
  run_backward(0);
}

Tensor Tape::grad(const Tensor& watched) const {
  const auto found = grads_.find(id_of(watched));
  return found == grads_.end() ? Tensor() : found->second;
}

void Tape::clear() {
  nodes_.clear();
  cheap_.clear();
  grads_.clear();
}

size_t Tape::saved_bytes() const {
  std::unordered_map<const Storage*, size_t> storages;
  for (const Node& node : nodes_) {
    for (const std::vector<Tensor>* tensors : {&node.in, &node.out}) {
      for (const Tensor& tensor : *tensors) {
        if (tensor.has_storage()) storages[tensor.storage().get()] = tensor.storage()->bytes();
      }
    }
  }
  size_t total = 0;
  for (const auto& [storage, bytes] : storages) total += bytes;
  return total;
}

}  // namespace yiti
