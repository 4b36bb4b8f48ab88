#include "inference/session.h"

#include <algorithm>

#include "core/error.h"

namespace yiti {

namespace {

// What is kept of earlier runs: so many bounds, and so many operands (208 bytes each) together.
// Runs of many versions have tens of thousands, and seldom the same sizes again.
constexpr size_t kMaxBounds = 16;
constexpr size_t kMaxOperands = size_t{1} << 16;

// Which parameters are not the same tensor in all parts.
std::vector<bool> differing_parameters(std::span<const RunPart> parts) {
  if (parts.size() < 2) return {};
  const std::vector<Tensor>& first = parts[0].version->tensors();
  std::vector<bool> differ(first.size());
  for (const RunPart& part : parts.subspan(1)) {
    const std::vector<Tensor>& own = part.version->tensors();
    for (size_t i = 0; i < first.size(); ++i) {
      if (!own[i].same_memory(first[i])) differ[i] = true;
    }
  }
  return differ;
}

}  // namespace

// All operands at one set of sizes, of one part or several.
struct Session::Bound {
  struct Call {
    const Kernel* kernel;
    const Attrs* attrs;
    size_t in, in_count, out, out_count;  // places in `operands`
    std::byte* workspace;
    size_t workspace_bytes;
  };
  struct ParameterUse {
    size_t operand, part;
    Parameter parameter;
  };
  struct Part {
    std::vector<int64_t> begins, sizes;  // per symbol
    const ParameterVersion* version = nullptr;
    std::string fingerprint = {};

    // A version that is gone may have left its address to another one.
    bool runs(const ParameterVersion* other) const {
      return version == other && (other == nullptr || fingerprint == other->fingerprint());
    }
  };

  bool fits(std::span<const RunPart> other) const {
    const auto same_sizes = [](const Part& a, const RunPart& b) {
      return std::ranges::equal(a.sizes, b.sizes);
    };
    const auto same_version = [](const Part& a, const RunPart& b) { return a.runs(b.version); };
    return std::ranges::equal(parts, other, same_sizes) &&
           (parts.size() == 1 || std::ranges::equal(parts, other, same_version) ||
            differing_parameters(other) == differing);
  }

  std::vector<int64_t> sizes;  // of all parts together
  std::vector<Part> parts;
  std::vector<bool> differing;   // per parameter, where there are several parts
  std::vector<Tensor> values;    // by value id
  std::vector<Tensor> operands;  // of all calls, one after the other
  std::vector<Call> calls;
  std::vector<ParameterUse> parameter_uses;
  std::vector<Tensor> outputs;
  int runs = 0;                        // with these versions
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

void Session::check_parts(std::span<const RunPart> parts) const {
  check(!parts.empty(), program_.name, "there is nothing to run");
  std::vector<int64_t> sizes(program_.symbols.size());
  for (const RunPart& part : parts) {
    check(part.sizes.size() == sizes.size(), program_.name, "got {} sizes; has {} symbols",
          part.sizes.size(), sizes.size());
    const bool fits =
        parts.size() == 1 || (part.version != nullptr && parts[0].version != nullptr &&
                              part.version->tensors().size() == parts[0].version->tensors().size());
    check(fits, program_.name, "parts of a run want versions with the same parameters");
    for (size_t s = 0; s < sizes.size(); ++s) {
      const ProgramSymbol& symbol = program_.symbols[s];
      const int64_t size = part.sizes[s];
      check(size >= 0 && size <= symbol.bound - sizes[s], program_.name, "{} is {}; wants 0 to {}",
            symbol.name, sizes[s] + size, symbol.bound);
      sizes[s] += size;
    }
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

// The rows that a part has of a value.
Tensor Session::rows_of_part(const Bound& bound, int value, size_t part) const {
  const Tensor& whole = bound.values[static_cast<size_t>(value)];
  const int symbol = row_symbols_[static_cast<size_t>(value)];
  if (symbol < 0) return whole;
  Shape shape = whole.shape();
  shape.set(0, bound.parts[part].sizes[static_cast<size_t>(symbol)]);
  const int64_t begin = bound.parts[part].begins[static_cast<size_t>(symbol)];
  return whole.as_strided(shape, whole.strides(), begin * whole.strides()[0]);
}

void Session::bind_call(Bound& bound, size_t n, std::span<const Tensor> operands,
                        size_t part) const {
  const ProgramNode& node = program_.nodes[n];
  const size_t first = bound.operands.size();
  bound.operands.insert(bound.operands.end(), operands.begin(), operands.end());
  for (size_t i = 0; i < node.in.size(); ++i) {
    if (node.in[i] < 0) continue;
    const ProgramValue& value = program_.values[static_cast<size_t>(node.in[i])];
    if (value.kind == ProgramValue::Kind::kParameter) {
      bound.parameter_uses.push_back({first + i, part, value.parameter});
    }
  }
  std::byte* workspace = plan_.workspace_offsets[n] == MemoryPlan::kNone
                             ? nullptr
                             : arena_->data() + plan_.workspace_offsets[n];
  bound.calls.push_back({kernels_[n], &node.attrs, first, node.in.size(), first + node.in.size(),
                         node.out.size(), workspace, plan_.workspace_bytes[n]});
}

// One call, or where a parameter is not the same for all parts, one for each part that has rows.
void Session::bind_node(Bound& bound, size_t n) const {
  const ProgramNode& node = program_.nodes[n];
  std::vector<Tensor> operands;
  for (int id : node.in) {
    operands.push_back(id < 0 ? Tensor() : bound.values[static_cast<size_t>(id)]);
  }
  bind_outputs(bound, node, operands);
  std::vector<int> ids = node.in;
  ids.insert(ids.end(), node.out.begin(), node.out.end());
  for (int id : node.out) {
    operands.push_back(id < 0 ? Tensor() : bound.values[static_cast<size_t>(id)]);
  }
  const bool by_part = std::ranges::any_of(node.in, [&](int id) {
    if (id < 0 || bound.differing.empty()) return false;
    const ProgramValue& value = program_.values[static_cast<size_t>(id)];
    return value.kind == ProgramValue::Kind::kParameter &&
           bound.differing[static_cast<size_t>(value.parameter.index)];
  });
  if (!by_part) return bind_call(bound, n, operands, 0);
  for (int id : node.out) {
    if (id >= 0 && row_symbols_[static_cast<size_t>(id)] < 0) {
      fail(Code::kUnimplemented, node.op->name,
           "an output of program {} has no rows that versions could share", program_.name);
    }
  }
  for (size_t part = 0; part < bound.parts.size(); ++part) {
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] >= 0) operands[i] = rows_of_part(bound, ids[i], part);
    }
    if (operands[node.in.size()].dim(0) > 0) bind_call(bound, n, operands, part);
  }
}

std::unique_ptr<Session::Bound> Session::make_bound(std::span<const RunPart> parts) const {
  auto bound = std::make_unique<Bound>();
  bound->sizes.resize(program_.symbols.size());
  for (const RunPart& part : parts) {
    bound->parts.push_back({bound->sizes, {part.sizes.begin(), part.sizes.end()}});
    for (size_t s = 0; s < part.sizes.size(); ++s) bound->sizes[s] += part.sizes[s];
  }
  bound->differing = differing_parameters(parts);
  bound->values.resize(program_.values.size());
  bind_sources(*bound);
  for (size_t n = 0; n < program_.nodes.size(); ++n) {
    if (program_.nodes[n].op->view) {
      bind_view(*bound, program_.nodes[n]);
    } else {
      bind_node(*bound, n);
    }
  }
  for (int id : program_.outputs) bound->outputs.push_back(bound->values[static_cast<size_t>(id)]);
  return bound;
}

// A value has a symbol's rows when it has one row less where the symbol is one less.
std::vector<int> Session::find_row_symbols() const {
  std::vector<int64_t> sizes;
  for (const ProgramSymbol& symbol : program_.symbols) sizes.push_back(symbol.bound);
  const auto values = [&] {
    const RunPart whole{sizes};
    return std::move(make_bound({&whole, 1})->values);
  };
  const std::vector<Tensor> most = values();
  std::vector<int> found(most.size(), -1);
  for (size_t s = 0; s < sizes.size(); ++s) {
    --sizes[s];
    const std::vector<Tensor> fewer = values();
    ++sizes[s];
    for (size_t v = 0; v < most.size(); ++v) {
      const bool has_rows = most[v].rank() > 0 && most[v].dim(0) == fewer[v].dim(0) + 1;
      if (has_rows) found[v] = static_cast<int>(s);
    }
  }
  return found;
}

Session::Bound& Session::bind(std::span<const RunPart> parts) {
  const auto found =
      std::ranges::find_if(bounds_, [&](const auto& bound) { return bound->fits(parts); });
  if (found != bounds_.end()) {
    std::rotate(bounds_.begin(), found, found + 1);
  } else {
    check_parts(parts);
    if (parts.size() > 1 && row_symbols_.empty()) row_symbols_ = find_row_symbols();
    bounds_.insert(bounds_.begin(), make_bound(parts));
    drop_old_bounds();
  }
  return *bounds_.front();
}

// All but the latest.
void Session::drop_old_bounds() {
  size_t operands = 0;
  const auto first = std::ranges::find_if(bounds_, [&](const auto& bound) {
    operands += bound->operands.size();
    return bound != bounds_.front() && operands > kMaxOperands;
  });
  const auto most = std::min<std::ptrdiff_t>(std::ssize(bounds_), kMaxBounds);
  const auto begin = std::min(first, bounds_.begin() + most);
  if (std::any_of(begin, bounds_.end(), [&](const auto& bound) { return bound.get() == last_; })) {
    last_ = nullptr;
  }
  bounds_.erase(begin, bounds_.end());
}

void Session::forget(const ParameterVersion* version) {
  for (const auto& bound : bounds_) {
    const auto is_bound = [&](const Bound::Part& part) { return part.version == version; };
    if (std::ranges::none_of(bound->parts, is_bound)) continue;
    for (const Bound::ParameterUse& use : bound->parameter_uses) {
      if (is_bound(bound->parts[use.part])) bound->operands[use.operand] = {};
    }
    for (Bound::Part& part : bound->parts) {
      if (is_bound(part)) part.version = nullptr;
    }
    bound->graph = nullptr;
  }
}

void Session::set_parameters(Bound& bound, std::span<const RunPart> parts) {
  bool same = true;
  for (size_t i = 0; i < parts.size(); ++i) {
    const ParameterVersion* version = parts[i].version;
    if (version == nullptr || bound.parts[i].runs(version)) continue;
    bound.parts[i].version = version;
    bound.parts[i].fingerprint = version->fingerprint();
    same = false;
  }
  if (same) return;
  for (const Bound::ParameterUse& use : bound.parameter_uses) {
    bound.operands[use.operand] = (*bound.parts[use.part].version)[use.parameter];
  }
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
                      call.workspace_bytes,
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

void Session::run(std::span<const RunPart> parts) {
  Bound& bound = bind(parts);
  set_parameters(bound, parts);
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
    if (kernels_[n] == nullptr || kernels_[n]->device_kind == program_.device->kind()) continue;
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
