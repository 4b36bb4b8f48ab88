#include "core/op.h"

#include <algorithm>

#include "core/dims.h"
#include "core/error.h"
#include "core/op_text.h"
#include "core/recorder.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

bool accepts(Kind kind, DType dtype) {
  switch (kind) {
    case Kind::kFloat: return dtype == DType::kF32 || dtype == DType::kF64;
    case Kind::kAnyFloat: return is_floating(dtype);
    case Kind::kWeight: return is_floating(dtype) || is_quantised(dtype);
    case Kind::kIndex: return dtype == DType::kI32 || dtype == DType::kI64;
    case Kind::kNumber:
      return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kI32 ||
             dtype == DType::kI64;
    case Kind::kAny: return true;
  }
  return false;
}

const Op::Input& spec_of(const Op& op, size_t i) {
  return op.inputs[std::min(i, op.inputs.size() - 1)];
}

void check_inputs(const Op& op, std::span<const Tensor> in) {
  const bool count_fits =
      op.variadic ? in.size() >= op.inputs.size() : in.size() == op.inputs.size();
  check(count_fits, op.name, "got {} inputs; wants {}{}", in.size(), op.inputs.size(),
        op.variadic ? " or more" : "");
  const Device* device = nullptr;
  for (size_t i = 0; i < in.size(); ++i) {
    const Op::Input& spec = spec_of(op, i);
    if (!in[i].defined()) {
      check(spec.optional, op.name, "{} is missing", spec.name);
      continue;
    }
    check(accepts(spec.kind, in[i].dtype()), op.name, "{} is {}; wants {}", spec.name,
          name(in[i].dtype()), describe(spec.kind));
    if (device == nullptr) device = in[i].device().get();
    check(device == in[i].device().get(), op.name, "{} lives on another device or engine",
          spec.name);
  }
  check(device != nullptr, op.name, "no input given");
}

// Checks the inputs and gives what their dimensions stand for.
DimBindings bind(const Op& op, std::span<const Tensor> in) {
  check_inputs(op, in);
  DimBindings bindings;
  for (size_t i = 0; i < in.size(); ++i) {
    if (!in[i].defined()) continue;
    const Op::Input& spec = spec_of(op, i);
    if (const auto wanted = bindings.match(spec.dims, in[i].shape(), spec.name)) {
      fail(Code::kInvalidArgument, op.name, "{} is {}; wants {}", spec.name, in[i].shape(),
           *wanted);
    }
  }
  return bindings;
}

const DevicePtr& device_of(std::span<const Tensor> in) {
  return std::find_if(in.begin(), in.end(), [](const Tensor& t) { return t.defined(); })->device();
}

Recorder* recorder_of(const Op& op, std::span<const Tensor> in) {
  Recorder* found = nullptr;
  for (const Tensor& tensor : in) {
    if (!tensor.defined() || !tensor.trace()) continue;
    Recorder* recorder = tensor.trace()->recorder.get();
    if (!recorder->active()) continue;
    check(found == nullptr || found == recorder, op.name, "inputs are traced by two recorders");
    found = recorder;
  }
  return found;
}

bool is_traced(std::span<const Tensor> in) {
  return std::any_of(in.begin(), in.end(), [](const Tensor& tensor) { return tensor.trace(); });
}

std::vector<Tensor> detached(std::span<const Tensor> in) {
  std::vector<Tensor> plain(in.begin(), in.end());
  for (Tensor& tensor : plain) tensor.set_trace(nullptr);
  return plain;
}

void run_kernel(const Op& op, const Kernel& kernel, std::span<const Tensor> in, const Attrs& attrs,
                std::span<const Tensor> out, bool accumulate = false) {
  const DevicePtr& device = device_of(in);
  std::shared_ptr<Storage> workspace;
  size_t bytes = 0;
  if (kernel.workspace) {
    bytes = kernel.workspace(in, attrs, *device);
    if (bytes > 0) workspace = Storage::allocate(device, bytes);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    const int alias = op.outputs[i % op.outputs.size()].alias;
    if (alias >= 0 && out[i].defined() && out[i].storage()->read_only()) {
      fail(Code::kFailedPrecondition, op.name, "{} is read-only memory",
           spec_of(op, static_cast<size_t>(alias)).name);
    }
  }
  kernel.run({in, out, attrs, workspace ? workspace->data() : nullptr, bytes, *device, accumulate});
}

// The outputs of `op` from untraced inputs; saved ones only where `save`.
std::vector<Tensor> compute(const Op& op, std::span<const Tensor> in, const Attrs& attrs,
                            std::vector<Tensor> metas, bool save) {
  const DevicePtr& device = device_of(in);
  const Kernel* kernel = op.choose_kernel(in, attrs, *device);
  if (kernel == nullptr) {
    if (!op.reference || device->has_own_kernels()) {
      std::string why;
      op.choose_kernel(in, attrs, *device, &why);
      fail(Code::kUnimplemented, op.name, "no kernel on {} for these inputs: {}", device->kind(),
           why);
    }
    // References count in doubles without looking at sizes: throws where theirs do not fit.
    for (const Tensor& meta : metas) byte_size(Shape{meta.numel()}, DType::kF64);
    std::vector<Tensor> out = op.reference(in, attrs);
    for (size_t i = 0; i < out.size(); ++i) {
      if (op.outputs[i].saved && !save) out[i] = Tensor();
    }
    return out;
  }
  for (size_t i = 0; i < metas.size(); ++i) {
    const Op::Output& spec = op.outputs[i];
    if (spec.saved && !save) {
      metas[i] = Tensor();
    } else if (spec.alias >= 0) {
      metas[i] = in[static_cast<size_t>(spec.alias)];
    } else {
      metas[i] = Tensor::empty(metas[i].shape(), metas[i].dtype(), device);
    }
  }
  run_kernel(op, *kernel, in, attrs, metas);
  return metas;
}

}  // namespace

std::string_view describe(Kind kind) {
  switch (kind) {
    case Kind::kFloat: return "f32 or f64";
    case Kind::kAnyFloat: return "f64, f32, f16 or bf16";
    case Kind::kWeight: return "a float or quantised type";
    case Kind::kIndex: return "i32 or i64";
    case Kind::kNumber: return "f32, f64, i32 or i64";
    case Kind::kAny: return "any type";
  }
  return "";
}

std::vector<Tensor> Op::infer(std::span<const Tensor> in, const Attrs& attrs) const {
  const DimBindings bindings = bind(*this, in);
  if (shape_rule) return shape_rule(in, attrs, *this);
  std::vector<Tensor> out;
  for (const Output& spec : outputs) {
    const Tensor& like = in[static_cast<size_t>(spec.alias >= 0 ? spec.alias : spec.like)];
    const Shape shape = spec.alias >= 0 ? like.shape() : bindings.resolve(spec.dims);
    out.push_back(Tensor::meta(shape, spec.dtype.value_or(like.dtype()), device_of(in)));
  }
  return out;
}

const Kernel* Op::choose_kernel(std::span<const Tensor> in, const Attrs& attrs, Device& device,
                                std::string* why) const {
  if (device.has_own_kernels()) {
    std::string reason;
    const Kernel* kernel = device.own_kernel(*this, in, attrs, reason);
    if (kernel == nullptr && why != nullptr) *why = std::move(reason);
    return kernel;
  }
  for (const Kernel& kernel : kernels) {
    std::optional<std::string> reason;
    if (kernel.device_kind != device.kind()) {
      reason = fmt::format("runs on {}", kernel.device_kind);
    } else if (kernel.refuses) {
      reason = kernel.refuses(in, attrs);
    }
    if (!reason) return &kernel;
    if (why != nullptr)
      *why += fmt::format("{}{}: {}", why->empty() ? "" : "; ", kernel.name, *reason);
  }
  return nullptr;
}

std::vector<Tensor> Op::evaluate(std::span<const Tensor> in, const Attrs& attrs, bool save) const {
  if (view) return {view(in[0], attrs)};
  return compute(*this, in, attrs, infer(in, attrs), save);
}

std::vector<Tensor> Op::operator()(std::span<const Tensor> in, const Attrs& attrs) const {
  Recorder* recorder = recorder_of(*this, in);
  const bool shape_only = recorder != nullptr && recorder->shape_only();
  std::vector<Tensor> out;
  if (view && !shape_only) {
    bind(*this, in);
    out.push_back(view(in[0].detached(), attrs));
  } else {
    out = infer(in, attrs);
  }
  if (shape_only) {
    recorder->record(*this, in, attrs, out);
    return out;
  }
  // Without a gradient of its own, that of the reference.
  if (recorder != nullptr && differentiable && !gradient && reference) return reference(in, attrs);
  if (!view) {
    std::vector<Tensor> plain;
    if (is_traced(in)) plain = detached(in);
    const bool save = recorder != nullptr && gradient != nullptr;
    out = compute(*this, plain.empty() ? in : plain, attrs, std::move(out), save);
  }
  if (recorder != nullptr) recorder->record(*this, in, attrs, out);
  return out;
}

void Op::run_into(std::span<const Tensor> in, const Attrs& attrs,
                  std::span<const Tensor> out) const {
  if (recorder_of(*this, in) != nullptr) {
    fail(Code::kFailedPrecondition, name, "an in-place run would lose the gradient");
  }
  const std::vector<Tensor> metas = infer(in, attrs);
  check(out.size() == metas.size(), name, "got {} outputs; has {}", out.size(), metas.size());
  for (size_t i = 0; i < out.size(); ++i) {
    if (!out[i].defined() && outputs[i].saved) continue;
    check(out[i].shape() == metas[i].shape() && out[i].dtype() == metas[i].dtype() &&
              out[i].is_contiguous(),
          name, "output {} is {} of {}; wants {} of {}, contiguous", outputs[i].name,
          out[i].shape(), yiti::name(out[i].dtype()), metas[i].shape(),
          yiti::name(metas[i].dtype()));
  }
  std::string why;
  const Kernel* kernel = choose_kernel(in, attrs, *device_of(in), &why);
  if (kernel == nullptr) fail(Code::kUnimplemented, name, "no kernel for these inputs: {}", why);
  run_kernel(*this, *kernel, in, attrs, out);
}

void Op::update_each(std::span<const std::vector<Tensor>> lists, const Attrs& attrs) const {
  check(std::ranges::all_of(outputs, [](const Output& output) { return output.alias >= 0; }), name,
        "makes tensors; wants an op that only updates");
  const Kernel* kernel = nullptr;
  std::vector<Tensor> in, out;  // of the lists that it takes at once
  for (const std::vector<Tensor>& list : lists) {
    if (recorder_of(*this, list) != nullptr) {
      fail(Code::kFailedPrecondition, name, "an in-place run would lose the gradient");
    }
    infer(list, attrs);
    const Kernel* own = choose_kernel(list, attrs, *device_of(list));
    const bool joins = own != nullptr && own->takes_lists && (kernel == nullptr || own == kernel) &&
                       std::ranges::all_of(list, &Tensor::is_contiguous);
    if (!joins) {
      (*this)(list, attrs);
      continue;
    }
    kernel = own;
    in.insert(in.end(), list.begin(), list.end());
    for (const Output& output : outputs) out.push_back(list[static_cast<size_t>(output.alias)]);
  }
  if (kernel != nullptr) run_kernel(*this, *kernel, in, attrs, out);
}

bool Op::add_into(std::span<const Tensor> in, const Attrs& attrs, const Tensor& sum) const {
  const Kernel* kernel = choose_kernel(in, attrs, *device_of(in));
  const bool can = kernel != nullptr && kernel->accumulates && recorder_of(*this, in) == nullptr;
  if (!can) return false;
  const std::vector<Tensor> metas = infer(in, attrs);
  if (metas.size() != 1 || metas[0].shape() != sum.shape() || metas[0].dtype() != sum.dtype()) {
    return false;
  }
  run_kernel(*this, *kernel, in, attrs, {&sum, 1}, true);
  return true;
}

Tensor GradArgs::gradient_of(size_t i, const Op& op, std::initializer_list<Tensor> inputs,
                             const Attrs& attributes) const {
  const bool adds = i < gathered.size() && gathered[i].defined();
  const std::span<const Tensor> all(inputs.begin(), inputs.size());
  if (adds && op.add_into(all, attributes, gathered[i])) return gathered[i];
  return op(all, attributes)[0];
}

OpBuilder& OpBuilder::input(std::string name, std::string dims, Kind kind) {
  op_.inputs.push_back({std::move(name), std::move(dims), kind, false});
  return *this;
}

OpBuilder& OpBuilder::optional_input(std::string name, std::string dims, Kind kind) {
  op_.inputs.push_back({std::move(name), std::move(dims), kind, true});
  return *this;
}

OpBuilder& OpBuilder::output(std::string name, std::string dims, int like) {
  op_.outputs.push_back(
      {.name = std::move(name), .dims = std::move(dims), .like = like, .dtype = {}});
  return *this;
}

OpBuilder& OpBuilder::output(std::string name, std::string dims, DType dtype) {
  op_.outputs.push_back({.name = std::move(name), .dims = std::move(dims), .dtype = dtype});
  return *this;
}

OpBuilder& OpBuilder::saved_output(std::string name, std::string dims, DType dtype) {
  output(std::move(name), std::move(dims), dtype);
  op_.outputs.back().saved = true;
  return *this;
}

OpBuilder& OpBuilder::saved_output(std::string name, std::string dims, int like) {
  output(std::move(name), std::move(dims), like);
  op_.outputs.back().saved = true;
  return *this;
}

OpBuilder& OpBuilder::updates(std::string name, int input) {
  output(std::move(name), op_.inputs[static_cast<size_t>(input)].dims, input);
  op_.outputs.back().alias = input;
  return *this;
}

OpBuilder& OpBuilder::gradient(Op::Gradient f, std::vector<int> inputs, std::vector<int> outputs) {
  op_.gradient = std::move(f);
  op_.saved_inputs = std::move(inputs);
  op_.saved_outputs = std::move(outputs);
  return *this;
}

OpBuilder& OpBuilder::view(Op::View f) {
  op_.view = std::move(f);
  op_.shape_rule = [](std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
    return std::vector<Tensor>{op.view(in[0].as_meta(), attrs).as_meta()};
  };
  if (op_.outputs.empty()) output("y", "*");
  op_.outputs[0].alias = 0;
  return *this;
}

OpBuilder& OpBuilder::sample(std::vector<std::optional<Shape>> shapes, Attrs attrs,
                             int64_t index_limit) {
  op_.samples.push_back({std::move(shapes), std::move(attrs), index_limit, nullptr});
  return *this;
}

Kernel cpu_kernel(std::string name, DType dtype, void (*run)(const KernelArgs&),
                  size_t (*workspace)(std::span<const Tensor>, const Attrs&, Device&)) {
  return {
      .name = std::move(name),
      .device_kind = "cpu",
      .refuses = [dtype](std::span<const Tensor> in, const Attrs&) -> std::optional<std::string> {
        for (const Tensor& tensor : in) {
          if (tensor.defined() && is_floating(tensor.dtype()) && tensor.dtype() != dtype) {
            return fmt::format("takes {}; got {}", yiti::name(dtype), yiti::name(tensor.dtype()));
          }
        }
        return std::nullopt;
      },
      .run = run,
      .workspace = workspace};
}

}  // namespace yiti
