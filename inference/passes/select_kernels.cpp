#include <map>

#include "core/error.h"
#include "inference/passes/passes.h"

namespace yiti {

std::vector<const Kernel*> select_kernels(Program& program) {
  std::vector<const Kernel*> kernels;
  std::map<std::string, int> counts;
  for (const ProgramNode& node : program.nodes) {
    if (node.op->view) {
      kernels.push_back(nullptr);
      continue;
    }
    std::vector<Tensor> metas;
    for (int id : node.in) {
      metas.push_back(id < 0 ? Tensor() : program.values[static_cast<size_t>(id)].meta);
    }
    std::string why;
    const Kernel* kernel = node.op->choose_kernel(metas, node.attrs, *program.device, &why);
    if (kernel == nullptr) {
      fail(Code::kUnimplemented, node.op->name, "no kernel on {} in program {}: {}",
           program.device->kind(), program.name, why);
    }
    ++counts[fmt::format("{}: {}", node.op->name, kernel->name)];
    kernels.push_back(kernel);
  }
  std::string text;
  for (const auto& [kernel, count] : counts) {
    text += fmt::format("{}{} x{}", text.empty() ? "" : ", ", kernel, count);
  }
  program.reports.push_back({"select_kernels", text, program.nodes.size(), program.nodes.size()});
  return kernels;
}

}  // namespace yiti
