#include <algorithm>
#include <functional>

#include "inference/passes/passes.h"

namespace yiti {
namespace {

constexpr int kUnbound = -2;

// Who makes and who reads each value.
struct Uses {
  // Reads the program again, in the memory that there is.
  void refresh(const Program& program) {
    maker.assign(program.values.size(), -1);
    readers.resize(program.values.size());
    for (std::vector<int>& list : readers) list.clear();
    for (size_t n = 0; n < program.nodes.size(); ++n) {
      for (int id : program.nodes[n].in) {
        if (id >= 0) readers[static_cast<size_t>(id)].push_back(static_cast<int>(n));
      }
      for (int id : program.nodes[n].out) {
        if (id >= 0) maker[static_cast<size_t>(id)] = static_cast<int>(n);
      }
    }
  }
  std::vector<int> maker;
  std::vector<std::vector<int>> readers;
};

// An attempt to lay a fusion's steps over nodes of the program.
class Matcher {
 public:
  using Accept = std::function<bool(const Matcher&)>;

  Matcher(const Program& program, const Uses& uses, const Fusion& fusion, Accept accept)
      : program_(program), uses_(uses), fusion_(fusion), accept_(std::move(accept)) {
    int inputs = 0;
    for (const Fusion::Step& step : fusion.steps) {
      for (int ref : step.in) inputs = std::max(inputs, ref + 1);
    }
    inputs_.assign(static_cast<size_t>(inputs), kUnbound);
  }

  // Whether the steps fit, in a way that is accepted, with the first one at node `first`.
  bool match(int first) { return place(0, first); }

  const std::vector<int>& nodes() const { return nodes_; }
  const std::vector<int>& inputs() const { return inputs_; }

 private:
  bool place(size_t step, int node) {
    const std::vector<int> before = inputs_;
    if (fits(step, node)) {
      nodes_.push_back(node);
      if (step + 1 == fusion_.steps.size() ? accept_(*this) : place_next(step + 1)) return true;
      nodes_.pop_back();
    }
    inputs_ = before;
    return false;
  }

  // Tries every node that reads a value which the step is known to read.
  bool place_next(size_t step) {
    for (int ref : fusion_.steps[step].in) {
      if (ref == Fusion::kAbsent) continue;
      const int known = value_of(ref);
      if (known < 0) continue;
      for (int reader : uses_.readers[static_cast<size_t>(known)]) {
        const bool taken = std::find(nodes_.begin(), nodes_.end(), reader) != nodes_.end();
        if (!taken && place(step, reader)) return true;
      }
      return false;
    }
    return false;
  }

  bool fits(size_t step, int node_index) {
    const ProgramNode& node = program_.nodes[static_cast<size_t>(node_index)];
    const Fusion::Step& wanted = fusion_.steps[step];
    if (node.op != wanted.op || node.in.size() != wanted.in.size()) return false;
    for (size_t i = 0; i < node.in.size(); ++i) {
      const int ref = wanted.in[i];
      if (ref == Fusion::kAbsent) {
        if (node.in[i] >= 0) return false;
        continue;
      }
      const int known = value_of(ref);
      if (known == kUnbound && node.in[i] >= 0) {
        inputs_[static_cast<size_t>(ref)] = node.in[i];
      } else if (known != node.in[i] || known == kUnbound) {
        return false;
      }
    }
    return true;
  }

  int value_of(int ref) const {
    if (ref >= 0) return inputs_[static_cast<size_t>(ref)];
    const int node = nodes_[static_cast<size_t>(Fusion::kStep0 - ref)];
    return program_.nodes[static_cast<size_t>(node)].out[0];
  }

  const Program& program_;
  const Uses& uses_;
  const Fusion& fusion_;
  Accept accept_;
  std::vector<int> inputs_;
  std::vector<int> nodes_;
};

// Whether a value is read only by the matched nodes, and is no output of the program.
bool is_internal(const Program& program, const Uses& uses, int value,
                 const std::vector<int>& nodes) {
  const auto& outputs = program.outputs;
  if (std::find(outputs.begin(), outputs.end(), value) != outputs.end()) return false;
  const auto& readers = uses.readers[static_cast<size_t>(value)];
  return std::all_of(readers.begin(), readers.end(), [&](int reader) {
    return std::find(nodes.begin(), nodes.end(), reader) != nodes.end();
  });
}

// Where the fused node goes: after all its inputs are made, before any of its outputs is read.
// Nullopt when there is no such place.
std::optional<size_t> position(const Uses& uses, const ProgramNode& fused,
                               const std::vector<int>& replaced) {
  int after = 0;
  for (int id : fused.in) {
    if (id >= 0) after = std::max(after, uses.maker[static_cast<size_t>(id)] + 1);
  }
  for (int id : fused.out) {
    for (int reader : uses.readers[static_cast<size_t>(id)]) {
      const bool ours = std::find(replaced.begin(), replaced.end(), reader) != replaced.end();
      if (!ours && reader < after) return std::nullopt;
    }
  }
  // As late as the first of the replaced nodes, so that lifetimes stay short.
  const int first = *std::min_element(replaced.begin(), replaced.end());
  return static_cast<size_t>(std::max(after, first));
}

std::optional<ProgramNode> fused_node(const Program& program, const Uses& uses,
                                      const Fusion& fusion, const Matcher& match) {
  std::vector<Attrs> attrs;
  for (int n : match.nodes()) attrs.push_back(program.nodes[static_cast<size_t>(n)].attrs);
  const std::optional<Attrs> fused = fusion.attrs(attrs);
  if (!fused) return std::nullopt;
  ProgramNode node{fusion.op, *fused, match.inputs(), {}};
  for (int step : fusion.outputs) {
    const int n = match.nodes()[static_cast<size_t>(step)];
    node.out.push_back(program.nodes[static_cast<size_t>(n)].out[0]);
  }
  for (size_t step = 0; step < match.nodes().size(); ++step) {
    const bool output = std::find(fusion.outputs.begin(), fusion.outputs.end(),
                                  static_cast<int>(step)) != fusion.outputs.end();
    const int value = program.nodes[static_cast<size_t>(match.nodes()[step])].out[0];
    if (!output && !is_internal(program, uses, value, match.nodes())) return std::nullopt;
  }
  std::vector<Tensor> metas;
  for (int id : node.in) {
    metas.push_back(id < 0 ? Tensor() : program.values[static_cast<size_t>(id)].meta);
  }
  const Kernel* kernel = node.op->choose_kernel(metas, node.attrs, *program.device);
  if (kernel == nullptr || kernel->stands_in) return std::nullopt;
  return node;
}

bool apply_once(Program& program, Uses& uses, const Fusion& fusion, size_t& from) {
  uses.refresh(program);
  for (; from < program.nodes.size(); ++from) {
    std::optional<ProgramNode> node;
    std::optional<size_t> at;
    Matcher matcher(program, uses, fusion, [&](const Matcher& match) {
      node = fused_node(program, uses, fusion, match);
      if (node) at = position(uses, *node, match.nodes());
      return node && at;
    });
    if (!matcher.match(static_cast<int>(from))) continue;
    std::vector<int> gone = matcher.nodes();
    std::ranges::sort(gone, std::greater());
    const auto shift = static_cast<size_t>(std::count_if(
        gone.begin(), gone.end(), [&](int n) { return static_cast<size_t>(n) < *at; }));
    for (const int n : gone) program.nodes.erase(program.nodes.begin() + n);
    program.nodes.insert(program.nodes.begin() + static_cast<std::ptrdiff_t>(*at - shift),
                         std::move(*node));
    return true;
  }
  return false;
}

}  // namespace

void fuse(Program& program, std::span<const Fusion> fusions) {
  const size_t before = program.nodes.size();
  std::string text;
  Uses uses;
  for (const Fusion& fusion : fusions) {
    int count = 0;
    for (size_t from = 0; apply_once(program, uses, fusion, from);) ++count;
    if (count > 0) text += fmt::format("{}{} x{}", text.empty() ? "" : ", ", fusion.name, count);
  }
  program.reports.push_back(
      {"fuse", text.empty() ? "nothing to fuse" : text, before, program.nodes.size()});
}

}  // namespace yiti
