#include "autograd/tape.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "core/shape_text.h"
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

bool is_ours_alone(const Tensor& sum) {
  return sum.storage().use_count() == 1 && sum.is_contiguous();
}

[[noreturn]] void fail_forgotten() {
  fail(Code::kFailedPrecondition, "autograd",
       "the ops that led to this output were differentiated already and are forgotten: compute it "
       "again, or add the losses and differentiate their sum");
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

int64_t Tape::trace(Tensor& tensor) {
  tensor.set_trace(std::make_shared<Trace>(Trace{shared_from_this(), next_id_}));
  return next_id_++;
}

void Tape::add_output(Node& node, Tensor& output) {
  node.out_ids.push_back(trace(output));
  node.alive.push_back(output.trace());
}

void Tape::add_node(Node node) {
  if (!running_ && nodes_.size() + watched_.size() >= sweep_at_) sweep();
  if (node.cheap != nullptr) {
    for (const int64_t id : node.out_ids) {
      if (id >= 0) cheap_.emplace(id, nodes_.size());
    }
  }
  nodes_.push_back(std::move(node));
}

int64_t Tape::id_of(const Tensor& tensor) const {
  const bool ours = tensor.defined() && tensor.trace() && tensor.trace()->recorder.get() == this;
  return ours ? tensor.trace()->id : -1;
}

Tensor Tape::watch(const Tensor& tensor) {
  check(is_floating(tensor.dtype()), "autograd",
        "cannot watch {}: only floating types have gradients", name(tensor.dtype()));
  if (!running_ && nodes_.size() + watched_.size() >= sweep_at_) sweep();
  Tensor watched = tensor;
  watched_.emplace(trace(watched), watched.trace());
  return watched;
}

bool Tape::watches(const Tensor& tensor) const { return watched_.contains(id_of(tensor)); }

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
    if (output.defined() && is_floating(output.dtype())) {
      add_output(node, output);
    } else {
      node.out_ids.push_back(-1);
    }
  }
  if (op.cheap) node.cheap = &op;
  add_node(std::move(node));
}

void Tape::record_function(std::string name, std::span<const Tensor> inputs,
                           std::span<Tensor> outputs, Backward backward) {
  if (paused_) return;
  Node node;
  node.name = std::move(name);
  node.backward = std::move(backward);
  node.in = keep(inputs, {});
  for (const Tensor& input : inputs) node.in_ids.push_back(id_of(input));
  const auto followed = [](int64_t id) { return id >= 0; };
  if (std::none_of(node.in_ids.begin(), node.in_ids.end(), followed)) return;
  node.out = keep(outputs, {});
  for (Tensor& output : outputs) {
    check(output.defined() && is_floating(output.dtype()), node.name,
          "wants outputs of a floating type");
    add_output(node, output);
  }
  add_node(std::move(node));
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
  add_output(node, y);
  node.backward = [this, f](const GradArgs& args) -> std::vector<Tensor> {
    const size_t base = nodes_.size();
    const Tensor again = watch(args.in[0]);
    const Tensor result = f(again);
    const int64_t id = id_of(result);
    if (id < 0) return {Tensor()};
    accumulate(id, args.grad_out[0]);
    run_backward(base);
    for (size_t i = base; i < nodes_.size(); ++i) {
      for (const int64_t out : nodes_[i].out_ids) cheap_.erase(out);
    }
    nodes_.resize(base);
    Tensor grad = this->grad(again);
    grads_.erase(id_of(again));
    watched_.erase(id_of(again));
    return {args.wanted[0] ? grad : Tensor()};
  };
  add_node(std::move(node));
  return y;
}

// The gradients of these that may be added to in place; undefined where there is none.
std::vector<Tensor> Tape::gathered_in_place(const std::vector<int64_t>& ids) const {
  std::vector<Tensor> gathered(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto found = grads_.find(ids[i]);
    if (found != grads_.end() && is_ours_alone(found->second)) gathered[i] = found->second;
  }
  return gathered;
}

void Tape::accumulate(int64_t id, Tensor grad) {
  grad.set_trace(nullptr);
  const auto [entry, fresh] = grads_.try_emplace(id, grad);
  if (fresh) return;
  Tensor& sum = entry->second;
  if (is_ours_alone(sum)) {
    add_op().run_into(std::vector{sum, grad}, {}, std::vector{sum});
  } else {
    sum = ops::add(sum, grad);
  }
}

// Forgets nodes to which neither a tensor nor a kept node leads, and gradients of what is gone.
void Tape::sweep() {
  std::unordered_set<int64_t> needed;
  std::vector<Node> kept;
  for (size_t i = nodes_.size(); i-- > 0;) {
    Node& node = nodes_[i];
    const bool alive = std::any_of(node.alive.begin(), node.alive.end(),
                                   [](const auto& trace) { return !trace.expired(); }) ||
                       std::any_of(node.out_ids.begin(), node.out_ids.end(),
                                   [&](int64_t id) { return needed.contains(id); });
    if (!alive) continue;
    for (const int64_t id : node.in_ids) {
      if (id >= 0) needed.insert(id);
    }
    kept.push_back(std::move(node));
  }
  std::reverse(kept.begin(), kept.end());
  nodes_ = std::move(kept);
  cheap_.clear();
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].cheap == nullptr) continue;
    for (const int64_t id : nodes_[i].out_ids) {
      if (id >= 0) cheap_.emplace(id, i);
    }
  }
  std::erase_if(watched_, [&](const auto& entry) {
    return entry.second.expired() && !needed.contains(entry.first);
  });
  std::erase_if(grads_, [&](const auto& entry) { return !watched_.contains(entry.first); });
  sweep_at_ = std::max<size_t>(256, 2 * (nodes_.size() + watched_.size()));
}

Tensor Tape::compute_again(int64_t id) {
  const auto maker = cheap_.find(id);
  if (maker == cheap_.end()) fail_forgotten();
  Node& node = nodes_[maker->second];
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
  std::vector<Tensor> gathered = gathered_in_place(node.in_ids);
  std::vector<Tensor> grads =
      node.backward({node.in, node.out, grad_out, node.attrs, wanted, gathered});
  grad_out.clear();
  node.out.clear();
  if (grads.size() != node.in.size()) {
    fail(Code::kInternal, node.name, "its gradient gave {} tensors for {} inputs", grads.size(),
         node.in.size());
  }
  for (size_t i = 0; i < grads.size(); ++i) {
    if (!wanted[i]) continue;
    if (!grads[i].defined()) {
      fail(Code::kUnimplemented, node.name,
           "has no gradient of its input {}, and one is wanted; detach it to go on without", i);
    }
    if (!(grads[i].shape() == node.in[i].shape())) {
      fail(Code::kInternal, node.name, "its gradient of input {} is {}; wants {}", i,
           grads[i].shape(), node.in[i].shape());
    }
    const bool added = gathered[i].defined() && gathered[i].storage() == grads[i].storage();
    gathered[i] = {};
    if (!added) accumulate(node.in_ids[i], std::move(grads[i]));
  }
}

// Runs the nodes above `from` that a gradient reaches, which leaves them empty.
void Tape::run_backward(size_t from) {
  for (size_t i = nodes_.size(); i-- > from;) {
    const std::vector<int64_t>& ids = nodes_[i].out_ids;
    if (std::none_of(ids.begin(), ids.end(), [&](int64_t id) { return grads_.contains(id); })) {
      continue;
    }
    run_node(std::exchange(nodes_[i], {}));
  }
}

// Throws unless every way from `id` back ends at watched tensors.
void Tape::check_whole(int64_t id) const {
  std::unordered_set<int64_t> open = {id};
  for (size_t i = nodes_.size(); i-- > 0;) {
    bool reached = false;
    for (const int64_t out : nodes_[i].out_ids) reached = open.erase(out) > 0 || reached;
    if (!reached) continue;
    for (const int64_t in : nodes_[i].in_ids) {
      if (in >= 0) open.insert(in);
    }
  }
  for (const int64_t end : open) {
    if (!watched_.contains(end)) fail_forgotten();
  }
}

void Tape::backward(const Tensor& output, Tensor seed) {
  const int64_t id = id_of(output);
  if (id < 0) {
    fail(Code::kFailedPrecondition, "autograd",
         "the output {} depends on no watched tensor: there is nothing to differentiate",
         output.shape());
  }
  if (!seed.defined()) {
    check(output.numel() == 1, "autograd", "a seed is needed for an output of shape {}",
          output.shape());
    seed = Tensor::full(output.shape(), 1.0, output.dtype(), output.device());
  }
  check(seed.shape() == output.shape() && seed.dtype() == output.dtype(), "autograd",
        "the seed is {} of {}; wants {} of {}", seed.shape(), name(seed.dtype()), output.shape(),
        name(output.dtype()));
  check(!running_, "autograd", "gradients of gradients are not there");
  check_whole(id);
  const Scoped running(running_, true);
  accumulate(id, seed);
  run_backward(0);
  sweep();
}

std::vector<Tensor> Tape::gradients(const Tensor& output, std::span<const Tensor> watched,
                                    Tensor seed) {
  auto gathered = std::exchange(grads_, {});
  try {
    backward(output, std::move(seed));
  } catch (...) {
    grads_ = std::move(gathered);
    throw;
  }
  std::vector<Tensor> grads;
  for (const Tensor& tensor : watched) grads.push_back(grad(tensor));
  grads_ = std::move(gathered);
  return grads;
}

Tensor Tape::grad(const Tensor& watched) const {
  const auto found = grads_.find(id_of(watched));
  return found == grads_.end() ? Tensor() : found->second;
}

void Tape::set_grad(const Tensor& watched, Tensor grad) {
  check(watches(watched), "autograd", "only watched tensors have a gradient to set");
  const int64_t id = id_of(watched);
  grads_.erase(id);
  if (!grad.defined()) return;
  check(grad.shape() == watched.shape() && grad.dtype() == watched.dtype(), "autograd",
        "the gradient is {} of {}; wants {} of {}", grad.shape(), name(grad.dtype()),
        watched.shape(), name(watched.dtype()));
  grads_.emplace(id, grad.detached());
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
