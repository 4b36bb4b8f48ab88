#include "ops/host_values.h"

#include "core/error.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

template <class T>
std::vector<double> read(const Tensor& tensor) {
  const auto count = static_cast<size_t>(tensor.numel());
  std::vector<std::byte> bytes(tensor.bytes());
  tensor.copy_to_host(bytes);
  std::vector<double> out(count);
  const T* typed = reinterpret_cast<const T*>(bytes.data());
  for (size_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      out[i] = static_cast<double>(to_float(typed[i]));
    } else {
      out[i] = static_cast<double>(typed[i]);
    }
  }
  return out;
}

template <class T>
Tensor write(std::span<const double> values, const Shape& shape, const DevicePtr& device) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  T* typed = reinterpret_cast<T*>(bytes.data());
  for (size_t i = 0; i < values.size(); ++i) {
    if constexpr (std::is_same_v<T, Half>) {
      typed[i] = to_half(static_cast<float>(values[i]));
    } else if constexpr (std::is_same_v<T, BFloat16>) {
      typed[i] = to_bfloat16(static_cast<float>(values[i]));
    } else if constexpr (std::is_same_v<T, bool>) {
      typed[i] = values[i] != 0;
    } else {
      typed[i] = static_cast<T>(values[i]);
    }
  }
  return Tensor::from_bytes(bytes, shape, dtype_of<T>, device);
}

}  // namespace

std::vector<double> to_doubles(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::kF64: return read<double>(tensor);
    case DType::kF32: return read<float>(tensor);
    case DType::kF16: return read<Half>(tensor);
    case DType::kBF16: return read<BFloat16>(tensor);
    case DType::kI64: return read<int64_t>(tensor);
    case DType::kI32: return read<int32_t>(tensor);
    case DType::kI16: return read<int16_t>(tensor);
    case DType::kI8: return read<int8_t>(tensor);
    case DType::kU8: return read<uint8_t>(tensor);
    case DType::kBool: return read<bool>(tensor);
    default:
      fail(Code::kInvalidArgument, "tensor", "{} has no plain elements", name(tensor.dtype()));
  }
}

Tensor of_doubles(std::span<const double> values, const Shape& shape, DType dtype,
                  const DevicePtr& device) {
  switch (dtype) {
    case DType::kF64: return write<double>(values, shape, device);
    case DType::kF32: return write<float>(values, shape, device);
    case DType::kF16: return write<Half>(values, shape, device);
    case DType::kBF16: return write<BFloat16>(values, shape, device);
    case DType::kI64: return write<int64_t>(values, shape, device);
    case DType::kI32: return write<int32_t>(values, shape, device);
    case DType::kI16: return write<int16_t>(values, shape, device);
    case DType::kI8: return write<int8_t>(values, shape, device);
    case DType::kU8: return write<uint8_t>(values, shape, device);
    case DType::kBool: return write<bool>(values, shape, device);
    default: fail(Code::kInvalidArgument, "tensor", "{} has no plain elements", name(dtype));
  }
}

Tensor broadcast_view(const Tensor& tensor, const Shape& shape) {
  if (tensor.shape() == shape) return tensor;
  Shape strides = shape;
  for (int axis = 1; axis <= shape.rank(); ++axis) {
    const bool repeated = axis > tensor.rank() || tensor.dim(-axis) != shape[-axis];
    check(axis > tensor.rank() || tensor.dim(-axis) == shape[-axis] || tensor.dim(-axis) == 1,
          "broadcast", "{} does not broadcast to {}", tensor.shape(), shape);
    strides.set(-axis, repeated ? 0 : tensor.strides()[-axis]);
  }
  check(tensor.rank() <= shape.rank(), "broadcast", "{} does not broadcast to {}", tensor.shape(),
        shape);
  return tensor.as_strided(shape, strides, 0);
}

}  // namespace yiti
