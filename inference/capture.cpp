#include <algorithm>

#include "core/error.h"
#include "core/recorder.h"
#include "inference/program.h"

namespace yiti {

class ProgramBuilder::Capture final : public Recorder,
                                      public std::enable_shared_from_this<Capture> {
 public:
  bool shape_only() const override { return true; }
  bool active() const override { return true; }

  void record(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs,
              std::span<Tensor> outputs) override {
    ProgramNode node{&op, attrs, {}, {}};
    for (const Tensor& input : inputs) node.in.push_back(value_of(input));
    for (size_t i = 0; i < outputs.size(); ++i) {
      const int alias = op.outputs[i].alias;
      ProgramValue value;
      value.meta = outputs[i].as_meta();
      value.alias_of = alias < 0 ? -1 : node.in[static_cast<size_t>(alias)];
      node.out.push_back(add(std::move(value), outputs[i]));
    }
    const ProgramNode kept = node;
    program.nodes.push_back(std::move(node));
    record_saves(op, kept);
  }

  int add(ProgramValue value, Tensor& traced) {
    const int id = static_cast<int>(program.values.size());
    program.values.push_back(std::move(value));
    traced.set_trace(std::make_shared<Trace>(Trace{shared_from_this(), id}));
    return id;
  }

  int value_of(const Tensor& tensor) {
    if (!tensor.defined()) return -1;
    if (tensor.trace()) {
      check(tensor.trace()->recorder.get() == this, "program",
            "a tensor of another program or tape came in");
      return static_cast<int>(tensor.trace()->id);
    }
    const auto known = std::find_if(constants_.begin(), constants_.end(), [&](const auto& entry) {
      return entry.first.same_memory(tensor) && entry.first.shape() == tensor.shape() &&
             entry.first.strides() == tensor.strides() && entry.first.dtype() == tensor.dtype();
    });
    if (known != constants_.end()) return known->second;
    ProgramValue value;
    value.kind = ProgramValue::Kind::kConstant;
    value.name = "constant";
    value.meta = tensor.as_meta();
    value.tensor = tensor.contiguous();
    constants_.emplace_back(tensor, static_cast<int>(program.values.size()));
    program.values.push_back(std::move(value));
    return constants_.back().second;
  }

  Program program;

 private:
  // A training step would keep what the gradient reads.
  void record_saves(const Op& op, const ProgramNode& node) {
    if (!op.gradient) return;
    for (int i : op.saved_inputs) save(node.in[static_cast<size_t>(i)]);
    for (int i : op.saved_outputs) save(node.out[static_cast<size_t>(i)]);
  }

  void save(int value) {
    if (value < 0) return;
    const ProgramValue::Kind kind = program.values[static_cast<size_t>(value)].kind;
    if (kind != ProgramValue::Kind::kTemporary) return;
    program.nodes.push_back({&save_for_backward_op(), {}, {value}, {}});
  }

  std::vector<std::pair<Tensor, int>> constants_;
};

const Op& save_for_backward_op() {
  static const Op op = OpBuilder("save_for_backward")
                           .doc("Keeps x until the backward pass.")
                           .source("yiti")
                           .input("x", "*", Kind::kAny)
                           .kernel({.name = "none",
                                    .device_kind = "cpu",
                                    .refuses = nullptr,
                                    .run = [](const KernelArgs&) {}})
                           .not_differentiable()
                           .build();
  return op;
}

ProgramBuilder::ProgramBuilder(std::string name, DevicePtr device)
    : capture_(std::make_shared<Capture>()) {
  capture_->program.name = std::move(name);
  capture_->program.device = std::move(device);
}

Dim ProgramBuilder::symbol(std::string name, int64_t bound) {
  capture_->program.symbols.push_back({std::move(name), bound});
  return {bound, static_cast<int>(capture_->program.symbols.size()) - 1};
}

Tensor ProgramBuilder::add_value(ProgramValue value) {
  Tensor traced = value.meta;
  capture_->add(std::move(value), traced);
  return traced;
}

Tensor ProgramBuilder::input(std::string name, const std::vector<Dim>& dims, DType dtype) {
  ProgramValue value;
  value.kind = ProgramValue::Kind::kInput;
  value.name = std::move(name);
  Shape shape;
  for (const Dim& dim : dims) shape.push_back(dim.constant);
  value.meta = Tensor::meta(shape, dtype, capture_->program.device);
  value.dims = dims;
  capture_->program.inputs.push_back(static_cast<int>(capture_->program.values.size()));
  return add_value(std::move(value));
}

Tensor ProgramBuilder::parameter(Parameter p, std::string name, const Tensor& tensor) {
  ProgramValue value;
  value.kind = ProgramValue::Kind::kParameter;
  value.name = std::move(name);
  value.meta = tensor.as_meta();
  value.parameter = p;
  return add_value(std::move(value));
}

Tensor ProgramBuilder::state(std::string name, const Tensor& tensor) {
  ProgramValue value;
  value.kind = ProgramValue::Kind::kState;
  value.name = std::move(name);
  value.meta = tensor.as_meta();
  value.tensor = tensor;
  return add_value(std::move(value));
}

void ProgramBuilder::output(const Tensor& tensor) {
  capture_->program.outputs.push_back(capture_->value_of(tensor));
}

Program ProgramBuilder::finish() { return std::move(capture_->program); }

}  // namespace yiti
