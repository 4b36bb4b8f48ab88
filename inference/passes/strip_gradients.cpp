#include <algorithm>

#include "inference/passes/passes.h"

namespace yiti {
namespace {

// Nodes whose outputs nobody uses, directly or not, and that update no state.
void remove_dead_nodes(Program& program) {
  std::vector<bool> live(program.values.size(), false);
  for (int id : program.outputs) live[static_cast<size_t>(id)] = true;
  std::vector<ProgramNode> kept;
  for (auto node = program.nodes.rbegin(); node != program.nodes.rend(); ++node) {
    const bool used = std::any_of(node->out.begin(), node->out.end(), [&](int id) {
      if (id < 0) return false;
      const auto kind = program.values[static_cast<size_t>(program.root(id))].kind;
      return live[static_cast<size_t>(id)] ||
             (kind == ProgramValue::Kind::kState && !node->op->view);
    });
    if (!used) continue;
    for (int id : node->in) {
      if (id >= 0) live[static_cast<size_t>(id)] = true;
    }
    kept.push_back(std::move(*node));
  }
  std::reverse(kept.begin(), kept.end());
  program.nodes = std::move(kept);
}

}  // namespace

void strip_gradients(Program& program) {
  const size_t before = program.nodes.size();
  std::erase_if(program.nodes,
                [](const ProgramNode& node) { return node.op == &save_for_backward_op(); });
  const size_t saves = before - program.nodes.size();
  size_t outputs = 0;
  for (ProgramNode& node : program.nodes) {
    for (size_t i = 0; i < node.out.size(); ++i) {
      if (!node.op->outputs[i].saved || node.out[i] < 0) continue;
      node.out[i] = -1;
      ++outputs;
    }
  }
  remove_dead_nodes(program);
  program.reports.push_back(
      {"strip_gradients",
       fmt::format("{} values kept for backward and {} saved outputs removed", saves, outputs),
       before, program.nodes.size()});
}

}  // namespace yiti
