#include "devices/common/ops.h"

#include <algorithm>
#include <vector>

namespace yiti::devices {
namespace {

const OpEntry& entry_of(const yiti_op_call& call) {
  const OpEntry* op = find_op(call.op);
  require(op != nullptr, "no kernel");
  return *op;
}

}  // namespace

std::span<const OpEntry> all_ops() {
  static const std::vector<OpEntry> all = [] {
    std::vector<OpEntry> list;
    for (const auto family :
         {elementwise_ops(), copy_ops(), reduction_ops(), norm_ops(), linear_ops(), gather_ops(),
          attention_ops(), loss_ops(), optimiser_ops(), image_ops()}) {
      list.insert(list.end(), family.begin(), family.end());
    }
    return list;
  }();
  return all;
}

const OpEntry* find_op(std::string_view name) {
  const auto ops = all_ops();
  const auto found = std::ranges::find_if(ops, [&](const OpEntry& op) { return op.name == name; });
  return found == ops.end() ? nullptr : &*found;
}

void plan_op(Backend& backend, const yiti_op_call& call, yiti_op_support& support) {
  const OpEntry& op = entry_of(call);
  Launcher plan(backend, Launcher::Mode::kPlans, call, 0);
  op.run(plan, Call(call));
  support.strided_inputs = op.strided_inputs;
  support.takes_lists = op.takes_lists ? 1 : 0;
  support.workspace_bytes = plan.most_taken();
}

void run_op(Backend& backend, const yiti_op_call& call) {
  const OpEntry& op = entry_of(call);
  Launcher launcher(backend, Launcher::Mode::kRuns, call,
                    static_cast<int>(&op - all_ops().data()) + 1);
  op.run(launcher, Call(call));
}

void report_fault(int32_t number) {
  if (number == 0) return;
  fail(YITI_STATUS_OUT_OF_RANGE, "{}: an id, label, position, slot or block is out of range",
       all_ops()[static_cast<size_t>(number - 1)].name);
}

}  // namespace yiti::devices
