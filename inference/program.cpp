#include "inference/program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace yiti {
namespace {

std::string value_name(const Program& program, int id) {
  if (id < 0) return "-";
  const ProgramValue& value = program.values[static_cast<size_t>(id)];
  return value.name.empty() ? fmt::format("%{}", id) : value.name;
}

std::vector<std::string> value_names(const Program& program, const std::vector<int>& ids) {
  std::vector<std::string> names;
  for (int id : ids) names.push_back(value_name(program, id));
  return names;
}

}  // namespace

int Program::count(std::string_view op_name) const {
  return static_cast<int>(std::count_if(nodes.begin(), nodes.end(), [&](const ProgramNode& node) {
    return node.op->name == op_name;
  }));
}

int Program::root(int value) const {
  while (values[static_cast<size_t>(value)].alias_of >= 0) {
    value = values[static_cast<size_t>(value)].alias_of;
  }
  return value;
}

std::string Program::str() const {
  std::string text = fmt::format("program {}: {} nodes", name, nodes.size());
  for (const ProgramSymbol& symbol : symbols)
    text += fmt::format(", {} <= {}", symbol.name, symbol.bound);
  text += "\n";
  for (const ProgramNode& node : nodes) {
    const std::string attributes = node.attrs.str();
    text += fmt::format("  {} = {}({}){}", fmt::join(value_names(*this, node.out), ", "),
                        node.op->name, fmt::join(value_names(*this, node.in), ", "),
                        attributes.empty() ? "" : " {" + attributes + "}");
    for (int out : node.out) {
      if (out < 0) continue;
      const Tensor& meta = values[static_cast<size_t>(out)].meta;
      text += fmt::format("  {} {}", meta.shape().str(), yiti::name(meta.dtype()));
    }
    text += "\n";
  }
  return text;
}

}  // namespace yiti
