#include "ops/derived/cases.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "core/error.h"
#include "ops/host_values.h"

namespace yiti::derived {
namespace {

constexpr size_t kGuard = 256;
constexpr auto kGuardByte = std::byte{0xa5}, kGarbageByte = std::byte{0xcd};

uint64_t hash_of(std::string_view text) {
  uint64_t hash = 1469598103934665603u;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

Tensor filled(const Op::Input& input, const Shape& shape, DType floats, int64_t index_limit,
              std::mt19937_64& random, const DevicePtr& device) {
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  if (input.kind == Kind::kIndex) {
    std::uniform_int_distribution<int64_t> uniform(0, std::max<int64_t>(index_limit, 1) - 1);
    for (double& value : values) value = static_cast<double>(uniform(random));
    return of_doubles(values, shape, DType::kI64, device);
  }
  std::normal_distribution<double> normal;
  for (double& value : values) value = normal(random) * (is_floating(floats) ? 1 : 4);
  return of_doubles(values, shape, floats, device);
}

std::optional<Case> fill(const Op& op, const Sample& sample, size_t index, DType floats,
                         const DevicePtr& device) {
  const Attrs& attrs = sample.attrs.str().empty() ? op.default_attrs : sample.attrs;
  Case c{{}, attrs, fmt::format("sample {} in {}", index, name(floats))};
  if (sample.make) {
    c.in = sample.make(floats, device);
  } else {
    std::mt19937_64 random(hash_of(op.name) + index);
    for (size_t i = 0; i < sample.shapes.size(); ++i) {
      const Op::Input& input = op.inputs[std::min(i, op.inputs.size() - 1)];
      c.in.push_back(sample.shapes[i] ? filled(input, *sample.shapes[i], floats, sample.index_limit,
                                               random, device)
                                      : Tensor());
    }
  }
  try {
    (void)op.infer(c.in, c.attrs);
  } catch (const Error&) {
    if (floats == DType::kF32) throw;
    return std::nullopt;
  }
  return c;
}

// Reports bytes around `bytes` at kGuard that are no longer what they were.
std::string damage_of(const Storage& storage, size_t bytes, const std::string& what) {
  std::vector<std::byte> all(storage.bytes());
  storage.device()->copy_to_host(all.data(), storage.data(), all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    const bool inside = i >= kGuard && i < kGuard + bytes;
    if (!inside && all[i] != kGuardByte) {
      const auto offset = static_cast<int64_t>(i) - static_cast<int64_t>(kGuard);
      return fmt::format("wrote {} at byte {} of {}", what, offset, bytes);
    }
  }
  return "";
}

// Memory between guard bytes that holds `inside`.
std::shared_ptr<Storage> guarded(const DevicePtr& device, std::span<const std::byte> inside) {
  auto storage = Storage::allocate(device, inside.size() + 2 * kGuard);
  std::vector<std::byte> all(storage->bytes(), kGuardByte);
  std::copy(inside.begin(), inside.end(), all.begin() + kGuard);
  device->copy_from_host(storage->data(), all.data(), all.size());
  return storage;
}

std::shared_ptr<Storage> guarded_garbage(const DevicePtr& device, size_t bytes) {
  return guarded(device, std::vector<std::byte>(bytes, kGarbageByte));
}

std::string leading(const std::string& dims) {
  if (dims.size() < 2 || dims.front() != '[') return "";
  return dims.substr(1, dims.find_first_of(",]") - 1);
}

int fixed_axes(const std::string& dims) {
  return dims == "[]" ? 0
                      : static_cast<int>(std::count(dims.begin(), dims.end(), ',')) + 1 -
                            (dims.find("...") != std::string::npos ? 1 : 0);
}

}  // namespace

std::optional<Case> make_case(const Op& op, size_t index, DType floats, const DevicePtr& device) {
  return fill(op, op.samples[index], index, floats, device);
}

bool has_rows(const Op& op, const std::string& dims, int rank) {
  const std::string rows = leading(op.inputs[0].dims);
  return !rows.empty() && leading(dims) == rows && (rows != "..." || rank > fixed_axes(dims));
}

std::optional<Case> make_rows(const Op& op, size_t index, int64_t rows, DType floats,
                              const DevicePtr& device) {
  Sample sample = op.samples[index];
  const std::string name = leading(op.inputs[0].dims);
  if ((name != "..." && name != "T" && name != "B") || op.variadic) return std::nullopt;
  if (sample.make) {
    auto c = fill(op, sample, index, floats, device);
    if (!c || !has_rows(op, op.inputs[0].dims, c->in[0].rank())) return std::nullopt;
    return c;
  }
  if (!sample.shapes[0] || !has_rows(op, op.inputs[0].dims, sample.shapes[0]->rank())) {
    return std::nullopt;
  }
  for (size_t i = 0; i < sample.shapes.size(); ++i) {
    if (sample.shapes[i] && has_rows(op, op.inputs[i].dims, sample.shapes[i]->rank())) {
      sample.shapes[i]->set(0, rows);
    }
  }
  return fill(op, sample, index, floats, device);
}

std::optional<Case> make_longer(const Op& op, size_t index, int64_t factor, DType floats,
                                const DevicePtr& device) {
  Sample sample = op.samples[index];
  if (sample.make) return std::nullopt;
  for (auto& shape : sample.shapes) {
    if (shape && shape->rank() > 0) shape->set(0, (*shape)[0] * factor);
  }
  try {
    return fill(op, sample, index, floats, device);
  } catch (const Error&) {
    return std::nullopt;
  }
}

Tensor copy_of(const Tensor& tensor) { return tensor.defined() ? tensor.copy() : tensor; }

Tensor laid_out(const Tensor& tensor, int layout) {
  if (!tensor.defined() || is_quantised(tensor.dtype()) || tensor.rank() == 0) return tensor;
  Shape strides = tensor.shape();
  int64_t step = layout == 0 ? 1 : 2;
  if (layout == 0) {
    for (int axis = 0; axis < tensor.rank(); ++axis) {
      strides.set(axis, step);
      step *= tensor.dim(axis);
    }
  } else {
    for (int axis = tensor.rank() - 1; axis >= 0; --axis) {
      strides.set(axis, step);
      step *= tensor.dim(axis) + (axis == tensor.rank() - 1 ? 1 : 0);
    }
  }
  const auto element = static_cast<size_t>(info(tensor.dtype()).block_bytes);
  std::vector<std::byte> bytes(tensor.bytes());
  tensor.copy_to_host(bytes);
  const int64_t elements = step + 3, first = tensor.numel() == 0 ? 0 : 3;
  std::vector<std::byte> room(static_cast<size_t>(elements) * element, kGarbageByte);
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    int64_t rest = i, offset = first;
    for (int axis = tensor.rank() - 1; axis >= 0; --axis) {
      offset += rest % tensor.dim(axis) * strides[axis];
      rest /= tensor.dim(axis);
    }
    std::memcpy(room.data() + static_cast<size_t>(offset) * element,
                bytes.data() + static_cast<size_t>(i) * element, element);
  }
  return Tensor::of_storage(guarded(tensor.device(), room), kGuard, {elements}, tensor.dtype())
      .as_strided(tensor.shape(), strides, first);
}

GuardedRun run_guarded(const Op& op, const Kernel& kernel, std::span<const Tensor> in,
                       const Attrs& attrs, const DevicePtr& device) {
  GuardedRun run;
  std::vector<Tensor> inputs(in.begin(), in.end());
  const std::vector<Tensor> metas = op.infer(inputs, attrs);
  for (size_t i = 0; i < metas.size(); ++i) {
    const int alias = op.outputs[i].alias;
    std::vector<std::byte> inside(metas[i].bytes(), kGarbageByte);
    if (alias >= 0) inputs[static_cast<size_t>(alias)].copy_to_host(inside);
    run.out.push_back(Tensor::of_storage(guarded(device, inside), kGuard, metas[i].shape(),
                                         metas[i].dtype(), metas[i].layout()));
    if (alias >= 0) inputs[static_cast<size_t>(alias)] = run.out[i];
  }
  const size_t bytes = kernel.workspace ? kernel.workspace(inputs, attrs, *device) : 0;
  const auto workspace = guarded_garbage(device, bytes);
  kernel.run({inputs, run.out, attrs, workspace->data() + kGuard, bytes, *device});
  run.damage = damage_of(*workspace, bytes, "around the workspace");
  for (size_t i = 0; i < metas.size() && run.damage.empty(); ++i) {
    run.damage = damage_of(*run.out[i].storage(), metas[i].bytes(),
                           fmt::format("around output {}", op.outputs[i].name));
  }
  return run;
}

std::vector<const Kernel*> accepting(const Op& op, const Case& c, Device& device) {
  std::vector<const Kernel*> found;
  if (device.has_own_kernels()) {
    const Kernel* own = op.choose_kernel(c.in, c.attrs, device);
    if (own != nullptr && !own->stands_in) found.push_back(own);
    return found;
  }
  for (const Kernel& kernel : op.kernels) {
    if (kernel.device_kind == device.kind() && !(kernel.refuses && kernel.refuses(c.in, c.attrs))) {
      found.push_back(&kernel);
    }
  }
  return found;
}

std::vector<Tensor> rows_of(const Op& op, std::span<const Tensor> in, int64_t begin, int64_t end) {
  std::vector<Tensor> out(in.begin(), in.end());
  for (size_t i = 0; i < out.size(); ++i) {
    if (!out[i].defined() || !has_rows(op, op.inputs[i].dims, out[i].rank())) continue;
    Shape shape = out[i].shape();
    shape.set(0, end - begin);
    out[i] = out[i].as_strided(shape, out[i].strides(), begin * out[i].strides()[0]);
  }
  return out;
}

bool is_updating(const Op& op) {
  return !op.view && std::any_of(op.outputs.begin(), op.outputs.end(),
                                 [](const Op::Output& output) { return output.alias >= 0; });
}

}  // namespace yiti::derived
