#include "core/tensor.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

template <class T>
double read_as(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return static_cast<double>(to_float(value));
  } else {
    return static_cast<double>(value);
  }
}

template <class T>
void fill_as(std::byte* bytes, int64_t count, double value) {
  T typed;
  if constexpr (std::is_same_v<T, Half>) {
    typed = to_half(static_cast<float>(value));
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    typed = to_bfloat16(static_cast<float>(value));
  } else {
    typed = static_cast<T>(value);
  }
  std::fill_n(reinterpret_cast<T*>(bytes), count, typed);
}

}  // namespace

size_t byte_size(const Shape& shape, DType dtype, Layout layout) {
  const DTypeInfo& type = info(dtype);
  if (!type.quantised) {
    int64_t bytes = 0;
    if (__builtin_mul_overflow(shape.numel(), type.block_bytes, &bytes)) {
      fail(Code::kInvalidArgument, "tensor", "{} of {} is too large", shape, type.name);
    }
    return static_cast<size_t>(bytes);
  }
  check(shape.rank() == 2, "tensor", "{} is a matrix type; got {}", type.name, shape);
  check(shape[1] % type.block == 0, "tensor", "rows of {} hold whole blocks of {}; got {}",
        type.name, type.block, shape);
  const int64_t rows =
      layout == Layout::kPanels ? (shape[0] + kPanelRows - 1) / kPanelRows * kPanelRows : shape[0];
  int64_t bytes = 0;
  if (__builtin_mul_overflow(rows, shape[1] / type.block, &bytes) ||
      __builtin_mul_overflow(bytes, type.block_bytes, &bytes)) {
    fail(Code::kInvalidArgument, "tensor", "{} of {} is too large", shape, type.name);
  }
  return static_cast<size_t>(bytes);
}

Tensor Tensor::meta(const Shape& shape, DType dtype, DevicePtr device, Layout layout) {
  check(device != nullptr, "tensor", "no device given");
  Tensor tensor;
  tensor.shape_ = shape;
  tensor.strides_ = contiguous_strides(shape);
  tensor.dtype_ = dtype;
  tensor.layout_ = layout;
  tensor.device_ = std::move(device);
  return tensor;
}

Tensor Tensor::empty(const Shape& shape, DType dtype, DevicePtr device) {
  Tensor tensor = meta(shape, dtype, std::move(device));
  tensor.storage_ = Storage::allocate(tensor.device_, byte_size(shape, dtype));
  return tensor;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, DevicePtr device) {
  Tensor tensor = empty(shape, dtype, std::move(device));
  tensor.device_->clear(tensor.raw(), tensor.bytes());
  return tensor;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, DevicePtr device) {
  check(!is_quantised(dtype), "tensor", "cannot fill {}", name(dtype));
  Tensor tensor = empty(shape, dtype, std::move(device));
  std::vector<std::byte> host(tensor.bytes());
  const int64_t count = tensor.numel();
  switch (dtype) {
    case DType::kF64: fill_as<double>(host.data(), count, value); break;
    case DType::kF32: fill_as<float>(host.data(), count, value); break;
    case DType::kF16: fill_as<Half>(host.data(), count, value); break;
    case DType::kBF16: fill_as<BFloat16>(host.data(), count, value); break;
    case DType::kI64: fill_as<int64_t>(host.data(), count, value); break;
    case DType::kI32: fill_as<int32_t>(host.data(), count, value); break;
    case DType::kI16: fill_as<int16_t>(host.data(), count, value); break;
    case DType::kI8: fill_as<int8_t>(host.data(), count, value); break;
    case DType::kU8: fill_as<uint8_t>(host.data(), count, value); break;
    case DType::kBool: fill_as<bool>(host.data(), count, value); break;
    default: break;
  }
  tensor.device_->copy_from_host(tensor.raw(), host.data(), host.size());
  return tensor;
}

Tensor Tensor::from_bytes(std::span<const std::byte> bytes, const Shape& shape, DType dtype,
                          DevicePtr device) {
  check(bytes.size() == byte_size(shape, dtype), "tensor", "got {} bytes; {} of {} takes {}",
        bytes.size(), shape, name(dtype), byte_size(shape, dtype));
  Tensor tensor = empty(shape, dtype, std::move(device));
  tensor.device_->copy_from_host(tensor.raw(), bytes.data(), bytes.size());
  return tensor;
}

Tensor Tensor::of_storage(std::shared_ptr<Storage> storage, size_t byte_offset, const Shape& shape,
                          DType dtype, Layout layout) {
  const size_t wanted = byte_size(shape, dtype, layout);
  if (byte_offset > storage->bytes() || wanted > storage->bytes() - byte_offset) {
    fail(Code::kOutOfRange, "tensor", "{} of {} at byte {} leaves a storage of {} bytes", shape,
         name(dtype), byte_offset, storage->bytes());
  }
  Tensor tensor = meta(shape, dtype, storage->device(), layout);
  tensor.storage_ = std::move(storage);
  tensor.offset_ = byte_offset;
  return tensor;
}

size_t Tensor::bytes() const { return byte_size(shape_, dtype_, layout_); }

bool Tensor::is_contiguous() const {
  int64_t step = 1;
  for (int axis = rank() - 1; axis >= 0; --axis) {
    if (shape_[axis] != 1 && strides_[axis] != step) return numel() == 0;
    step *= shape_[axis];
  }
  return true;
}

std::byte* Tensor::raw() const {
  if (!storage_) fail(Code::kFailedPrecondition, "tensor", "{} has no data", shape_);
  return storage_->data() + offset_;
}

void Tensor::require_dtype(DType wanted) const {
  check(dtype_ == wanted, "tensor", "asked for {} of a tensor of {}", name(wanted), name(dtype_));
}

void Tensor::copy_to_host(std::span<std::byte> target) const {
  check(target.size() == bytes(), "tensor", "got {} bytes for {} of {}", target.size(), shape_,
        name(dtype_));
  if (device_->host_accessible()) return device_->copy_elements(target.data(), *this);
  const Tensor packed = contiguous();
  device_->copy_to_host(target.data(), packed.raw(), target.size());
}

double Tensor::item() const {
  check(numel() == 1 && !is_quantised(dtype_), "tensor", "item() of {} of {}", shape_,
        name(dtype_));
  std::array<std::byte, 8> bytes{};
  device_->copy_to_host(bytes.data(), raw(), static_cast<size_t>(info(dtype_).block_bytes));
  switch (dtype_) {
    case DType::kF64: return read_as<double>(bytes.data());
    case DType::kF32: return read_as<float>(bytes.data());
    case DType::kF16: return read_as<Half>(bytes.data());
    case DType::kBF16: return read_as<BFloat16>(bytes.data());
    case DType::kI64: return read_as<int64_t>(bytes.data());
    case DType::kI32: return read_as<int32_t>(bytes.data());
    case DType::kI16: return read_as<int16_t>(bytes.data());
    case DType::kI8: return read_as<int8_t>(bytes.data());
    case DType::kU8: return read_as<uint8_t>(bytes.data());
    default: return read_as<bool>(bytes.data());
  }
}

Tensor Tensor::as_strided(const Shape& shape, const Shape& strides, int64_t offset) const {
  check(!is_quantised(dtype_), "tensor", "{} has no strided views", name(dtype_));
  check(shape.rank() == strides.rank() && offset >= 0, "tensor", "shape {} with strides {}", shape,
        strides);
  Tensor view = *this;
  const size_t element = static_cast<size_t>(info(dtype_).block_bytes);
  view.offset_ += static_cast<size_t>(offset) * element;
  view.shape_ = shape;
  view.strides_ = strides;
  if (storage_ && shape.numel() > 0) {
    int64_t last = 0;
    for (int axis = 0; axis < shape.rank(); ++axis) last += (shape[axis] - 1) * strides[axis];
    if (view.offset_ + static_cast<size_t>(last + 1) * element > storage_->bytes()) {
      fail(Code::kOutOfRange, "tensor", "view {} at {} leaves its storage", shape, offset);
    }
  }
  view.trace_ = nullptr;
  return view;
}

Tensor Tensor::reshaped(const Shape& shape) const {
  check(is_contiguous() && shape.numel() == numel(), "tensor", "cannot see {} as {}", shape_,
        shape);
  return as_strided(shape, contiguous_strides(shape), 0);
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : copy(); }

Tensor Tensor::copy() const {
  // A layout that a device has of its own is for its ops alone.
  const Layout layout = device_->host_accessible() ? layout_ : Layout::kRows;
  const size_t bytes = byte_size(shape_, dtype_, layout);
  Tensor copy = of_storage(Storage::allocate(device_, bytes), 0, shape_, dtype_, layout);
  device_->copy_elements(copy.raw(), *this);
  return copy;
}

Tensor Tensor::on(const DevicePtr& device) const {
  if (device == device_) return *this;
  if (layout_ == Layout::kPanels && !device_->host_accessible()) return copy().on(device);
  if (layout_ == Layout::kPanels && !device->host_accessible()) {
    fail(Code::kUnimplemented, "tensor",
         "a matrix in the host's panels goes to no other device; "
         "wants rows");
  }
  Tensor copy = of_storage(Storage::allocate(device, bytes()), 0, shape_, dtype_, layout_);
  if (device->host_accessible()) {
    copy_to_host({copy.raw(), copy.bytes()});
  } else if (device_->host_accessible()) {
    device->copy_from_host(copy.raw(), contiguous().raw(), copy.bytes());
  } else {
    return on(device_->host()).on(device);
  }
  return copy;
}

Tensor Tensor::detached() const {
  Tensor tensor = *this;
  tensor.trace_ = nullptr;
  return tensor;
}

Tensor Tensor::as_meta() const { return meta(shape_, dtype_, device_, layout_); }

}  // namespace yiti
