#include "inference/session.h"

#include <algorithm>

#include "core/error.h"

namespace yiti {

namespace {
constexpr size_t kMaxBounds = 16;
}

// All operands at one set of sizes.
struct Session::Bound {
  struct Call {
    const Kernel* kernel;
    const Attrs* attrs;
    size_t in, in_count, out, out_count;  // places in `operands`
    std::byte* workspace;
  };
  struct ParameterUse {
    size_t operand;
    Parameter parameter;
  };
  std::vector<int64_t> sizes;
  std::vector<Tensor> values;    // by value id
  std::vector<Tensor> operands;  // of all calls, one after the other
  std::vector<Call> calls;
  std::vector<ParameterUse> parameter_uses;
  std::vector<Tensor> outputs;
  const ParameterVersion* version = nullptr;
  std::string fingerprint;
  int runs = 0;                        // with this version
  std::unique_ptr<DeviceGraph> graph;  // all calls, where the device records
};

Session::Session(Program program, const PassOptions& options) : program_(std::move(program)) {
  if (options.strip_gradients) strip_gradients(program_);
  if (options.fuse) fuse(program_, all_fusions());
  kernels_ = select_kernels(program_);
  plan_ = yiti::plan_memory(program_, kernels_, options.plan_memory);
  arena_ = Storage::allocate(program_.device, std::max<size_t>(plan_.arena_bytes, 64));
  for (int id : program_.inputs) {
    const Tensor& meta = program_.values[static_cast<size_t>(id)].meta;
    const DevicePtr& device = program_.device;
    input_memory_.push_back(Tensor::zeros(meta.shape(), meta.dtype(), device->host()));
    device_inputs_.push_back(input_memory_.back().on(device));
  }
}

Session::~Session() = default;

void Session::check_sizes(std::span<const int64_t> sizes) const {
  check(sizes.size() == program_.symbols.size(), program_.name, "got {} sizes; has {} symbols",
        sizes.size(), program_.symbols.size());
  for (size_t s = 0; s < sizes.size(); ++s) {
    const ProgramSymbol& symbol = program_.symbols[s];
    check(sizes[s] >= 0 && sizes[s] <= symbol.bound, program_.name, "{} is {}; wants 0 to {}",
          symbol.name, sizes[s], symbol.bound);
  }
}

// The values that exist before the first node: inputs at these sizes, constants, state. Parameters
// have shapes only, until a run names their version.
void Session::bind_sources(Bound& bound) const {
  for (size_t i = 0; i < program_.inputs.size(); ++i) {
    const size_t v = static_cast<size_t>(program_.inputs[i]);
    Shape shape;
    for (const Dim& dim : program_.values[v].dims) {
      shape.push_back(dim.symbol < 0 ? dim.constant : bound.sizes[static_cast<size_t>(dim.symbol)]);
    }
    bound.values[v] =
        Tensor::of_storage(device_inputs_[i].storage(), 0, shape, device_inputs_[i].dtype());
  }
  for (size_t v = 0; v < program_.values.size(); ++v) {
    const ProgramValue& value = program_.values[v];
    if (value.kind == ProgramValue::Kind::kConstant || value.kind == ProgramValue::Kind::kState) {
      bound.values[v] = value.tensor;
    } else if (value.kind == ProgramValue::Kind::kParameter) {
      bound.values[v] = value.meta;
    }
  }
}

void Session::bind_view(Bound& bound, const ProgramNode& node) const {
  const Tensor& in = bound.values[static_cast<size_t>(node.in[0])];
  if (!in.has_storage()) {
    fail(Code::kUnimplemented, node.op->name, "a view of a parameter in program {}", program_.name);
  }
  const Tensor view = node.op->view(in, node.attrs);
  if (view.storage() != in.storage()) {
    fail(Code::kUnimplemented, node.op->name,
         "a view that takes a copy in program {}: make its input contiguous first", program_.name);
  }
  bound.values[static_cast<size_t>(node.out[0])] = view;
}

void Session::bind_outputs(Bound& bound, const ProgramNode& node,
                           std::span<const Tensor> in) const {
  const std::vector<Tensor> metas = node.op->infer(in, node.attrs);
  for (size_t i = 0; i < node.out.size(); ++i) {
    if (node.out[i] < 0) continue;
    const size_t v = static_cast<size_t>(node.out[i]);
    const int alias = node.op->outputs[i].alias;
    bound.values[v] = alias >= 0 ? in[static_cast<size_t>(alias)]
                                 : Tensor::of_storage(arena_, plan_.offsets[v], metas[i].shape(),
                                                      metas[i].dtype(), metas[i].layout());
  }
}

void Session::bind_call(Bound& bound, size_t n) const {
  const ProgramNode& node = program_.nodes[n];
  const size_t first = bound.operands.size();
  std::vector<Tensor> in;
  for (int id : node.in) {
    in.push_back(id < 0 ? Tensor() : bound.values[static_cast<size_t>(id)]);
    if (id < 0) continue;
    const ProgramValue& value = program_.values[static_cast<size_t>(id)];
    if (value.kind == ProgramValue::Kind::kParameter) {
      bound.parameter_uses.push_back({first + in.size() - 1, value.parameter});
    }
  }
  bind_outputs(bound, node, in);
  bound.operands.insert(bound.operands.end(), in.begin(), in.end());
  for (int id : node.out) {
    bound.operands.push_back(id < 0 ? Tensor() : bound.values[static_cast<size_t>(id)]);
  }
  std::byte* workspace = plan_.workspace_offsets[n] == MemoryPlan::kNone
                             ? nullptr
                             : arena_->data() + plan_.workspace_offsets[n];
  bound.calls.push_back(
      {kernels_[n], &node.attrs, first, in.size(), first + in.size(), node.out.size(), workspace});
}

std::unique_ptr<Session::Bound> Session::make_bound(std::span<const int64_t> sizes) const {
  check_sizes(sizes);
  auto bound = std::make_unique<Bound>();
  bound->sizes.assign(sizes.begin(), sizes.end());
  bound->values.resize(program_.values.size());
  bind_sources(*bound);
  for (size_t n = 0; n < program_.nodes.size(); ++n) {
    if (program_.nodes[n].op->view) {
      bind_view(*bound, program_.nodes[n]);
    } else {
      bind_call(*bound, n);
    }
  }
  for (int id : program_.outputs) bound->outputs.push_back(bound->values[static_cast<size_t>(id)]);
  return bound;
}

Session::Bound& Session::bind(std::span<const int64_t> sizes) {
  const auto found = std::find_if(bounds_.begin(), bounds_.end(), [&](const auto& bound) {
    return std::equal(bound->sizes.begin(), bound->sizes.end(), sizes.begin(), sizes.end());
  });
  if (found != bounds_.end()) {
    std::rotate(bounds_.begin(), found, found + 1);
  } else {
    if (bounds_.size() == kMaxBounds) {
      if (bounds_.back().get() == last_) last_ = nullptr;
      bounds_.pop_back();
    }
    bounds_.insert(bounds_.begin(), make_bound(sizes));
  }
  return *bounds_.front();
}

void Session::set_parameters(Bound& bound, const ParameterVersion& version) {
  if (bound.version == &version && bound.fingerprint == version.fingerprint()) return;
  for (const Bound::ParameterUse& use : bound.parameter_uses) {
    bound.operands[use.operand] = version[use.parameter];
  }
  bound.version = &version;
  bound.fingerprint = version.fingerprint();
  bound.runs = 0;
  bound.graph = nullptr;
}

// To a device that does not read the host's memory.
void Session::send_inputs(const Bound& bound) const {
  Device& device = *program_.device;
  if (device.host_accessible()) return;
  for (size_t i = 0; i < program_.inputs.size(); ++i) {
    const Tensor& input = bound.values[static_cast<size_t>(program_.inputs[i])];
    device.copy_from_host(input.raw(), input_memory_[i].raw(), input.bytes());
  }
}

void Session::run_calls(const Bound& bound) const {
  const Tensor* operands = bound.operands.data();
  for (const Bound::Call& call : bound.calls) {
    call.kernel->run({{operands + call.in, call.in_count},
                      {operands + call.out, call.out_count},
                      *call.attrs,
                      call.workspace,
                      *program_.device});
  }
}

// What runs a second time is likely to do so again: the device may record it.
void Session::give(Bound& bound) const {
  constexpr int kRecordedRun = 2;
  if (++bound.runs == kRecordedRun) {
    bound.graph = program_.device->record([&] { run_calls(bound); });
  }
  if (bound.graph) {
    bound.graph->launch();
  } else {
    run_calls(bound);
  }
}

void Session::run(std::span<const int64_t> sizes, const ParameterVersion* version) {
  Bound& bound = bind(sizes);
  if (version != nullptr) set_parameters(bound, *version);
  send_inputs(bound);
  give(bound);
  last_ = &bound;
}

const Tensor& Session::output(size_t index) const {
  if (last_ == nullptr) fail(Code::kFailedPrecondition, program_.name, "it has not run yet");
  return last_->outputs[index];
}

// What nodes that the device lacks cost, at the largest sizes.
std::string Session::explain_copies() const {
  int count = 0;
  size_t bytes = 0;
  for (size_t n = 0; n < program_.nodes.size(); ++n) {
    if (kernels_[n] == nullptr || !kernels_[n]->on_host) continue;
    ++count;
    for (const std::vector<int>* ids : {&program_.nodes[n].in, &program_.nodes[n].out}) {
      for (int id : *ids) {
        if (id >= 0) bytes += program_.values[static_cast<size_t>(id)].meta.bytes();
      }
    }
  }
  if (count == 0) return "";
  return fmt::format("  {} of {} nodes run on the CPU: a run copies up to {:.2f} MB for them\n",
                     count, program_.nodes.size(), static_cast<double>(bytes) * 1e-6);
}

std::string Session::explain() const {
  std::string text = fmt::format("program {}\n", program_.name);
  for (const PassReport& report : program_.reports) {
    text += fmt::format("  {}: {} -> {} nodes; {}\n", report.pass, report.nodes_before,
                        report.nodes_after, report.text);
  }
  text += fmt::format("  arena {:.2f} MB, naive {:.2f} MB\n",
                      static_cast<double>(plan_.arena_bytes) * 1e-6,
                      static_cast<double>(plan_.naive_bytes) * 1e-6);
  text += explain_copies();
  for (size_t n = 0; n < program_.nodes.size(); ++n) {
    text += fmt::format("  {:4} {}: {}\n", n, program_.nodes[n].op->name,
                        kernels_[n] == nullptr ? "view" : kernels_[n]->name);
  }
  return text;
}

}  // namespace yiti
