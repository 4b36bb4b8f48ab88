#include "bindings/python/src/arrays.h"

#include <nanobind/ndarray.h>

#include <cstdlib>
#include <cstring>

#include "bindings/python/src/convert.h"
#include "bindings/python/src/devices.h"
#include "ops/shape/cast.h"

namespace yiti::python {
namespace {

struct DlpackType {
  DType dtype;
  nb::dlpack::dtype_code code;
  uint8_t bits;
};

using Code = nb::dlpack::dtype_code;
constexpr DlpackType kTypes[] = {
    {DType::kF64, Code::Float, 64}, {DType::kF32, Code::Float, 32},
    {DType::kF16, Code::Float, 16}, {DType::kBF16, Code::Bfloat, 16},
    {DType::kI64, Code::Int, 64},   {DType::kI32, Code::Int, 32},
    {DType::kI16, Code::Int, 16},   {DType::kI8, Code::Int, 8},
    {DType::kU8, Code::UInt, 8},    {DType::kBool, Code::Bool, 8},
};

nb::dlpack::dtype dlpack_type(DType dtype) {
  for (const DlpackType& entry : kTypes) {
    if (entry.dtype == dtype) return {static_cast<uint8_t>(entry.code), entry.bits, 1};
  }
  fail(yiti::Code::kUnimplemented, "tensor", "{} has no counterpart in arrays; cast or dequantise",
       name(dtype));
}

DType dtype_of_dlpack(nb::dlpack::dtype type) {
  for (const DlpackType& entry : kTypes) {
    if (static_cast<uint8_t>(entry.code) == type.code && entry.bits == type.bits &&
        type.lanes == 1) {
      return entry.dtype;
    }
  }
  fail_type(
      fmt::format("arrays of this element type (DLPack code {}, {} bits) have no counterpart "
                  "in yiti",
                  type.code, type.bits));
}

template <class Array>
nb::object make_array(const Tensor& tensor) {
  const Tensor plain = on_host(tensor.detached());
  std::vector<size_t> sizes;
  for (const int64_t size : plain.shape()) sizes.push_back(static_cast<size_t>(size));
  const std::vector<int64_t> strides(plain.strides().begin(), plain.strides().end());
  const nb::object owner = nb::cast(plain);
  return nb::cast(Array(plain.raw(), sizes.size(), sizes.data(), owner, strides.data(),
                        dlpack_type(plain.dtype()), nb::device::cpu::value),
                  nb::rv_policy::reference);
}

template <class... Framework>
nb::object make_array_of(const Tensor& tensor) {
  if (tensor.has_storage() && tensor.storage()->read_only()) {
    return make_array<nb::ndarray<Framework..., nb::ro>>(tensor);
  }
  return make_array<nb::ndarray<Framework...>>(tensor);
}

template <class Array>
std::optional<Tensor> view_of(nb::handle source, const DevicePtr& device, bool read_only) {
  Array array;
  if (!nb::try_cast(source, array)) return std::nullopt;
  const DType dtype = dtype_of_dlpack(array.dtype());
  const auto element = static_cast<size_t>(info(dtype).block_bytes);
  Shape shape, strides;
  int64_t last = 0;
  bool backwards = false;
  for (size_t i = 0; i < array.ndim(); ++i) {
    shape.push_back(static_cast<int64_t>(array.shape(i)));
    strides.push_back(std::abs(array.stride(i)));
    backwards = backwards || (array.stride(i) < 0 && array.shape(i) > 1);
    last += (shape[static_cast<int>(i)] - 1) * strides[static_cast<int>(i)];
  }
  if (shape.numel() == 0) return Tensor::empty(shape, dtype, device);
  void* data = const_cast<void*>(static_cast<const void*>(array.data()));
  const bool aligned = reinterpret_cast<uintptr_t>(data) % element == 0;
  if (backwards || !aligned) {
    const nb::module_ numpy = nb::module_::import_("numpy");
    return view_of<Array>(numpy.attr("ascontiguousarray")(source).attr("copy")(), device, false);
  }
  // The array holds its source; letting it go takes the GIL.
  const std::shared_ptr<void> owner(new Array(array), [](void* held) {
    if (!Py_IsInitialized()) return;
    nb::gil_scoped_acquire gil;
    delete static_cast<Array*>(held);
  });
  const auto storage =
      Storage::wrap(device, data, static_cast<size_t>(last + 1) * element, owner, read_only);
  return Tensor::of_storage(storage, 0, Shape{last + 1}, dtype).as_strided(shape, strides, 0);
}

nb::object number(const std::byte* at, DType dtype) {
  const auto read = [&]<class T>(T value) {
    std::memcpy(&value, at, sizeof(T));
    return value;
  };
  switch (dtype) {
    case DType::kF64: return nb::float_(read(double{}));
    case DType::kF32: return nb::float_(static_cast<double>(read(float{})));
    case DType::kF16: return nb::float_(static_cast<double>(to_float(read(Half{}))));
    case DType::kBF16: return nb::float_(static_cast<double>(to_float(read(BFloat16{}))));
    case DType::kI64: return nb::int_(read(int64_t{}));
    case DType::kI32: return nb::int_(read(int32_t{}));
    case DType::kI16: return nb::int_(read(int16_t{}));
    case DType::kI8: return nb::int_(static_cast<int>(read(int8_t{})));
    case DType::kU8: return nb::int_(static_cast<int>(read(uint8_t{})));
    case DType::kBool: return nb::bool_(read(bool{}));
    default: break;
  }
  fail(yiti::Code::kInvalidArgument, "tensor", "{} has no single elements; dequantise first",
       name(dtype));
}

nb::object nested(const Tensor& tensor, int axis, int64_t offset) {
  const int64_t element = info(tensor.dtype()).block_bytes;
  if (axis == tensor.rank()) return number(tensor.raw() + offset * element, tensor.dtype());
  nb::list list;
  for (int64_t i = 0; i < tensor.dim(axis); ++i) {
    list.append(nested(tensor, axis + 1, offset + i * tensor.strides()[axis]));
  }
  return list;
}

}  // namespace

std::optional<Tensor> import_array(nb::handle array, const DevicePtr& device) {
  if (!nb::ndarray_check(array)) return std::nullopt;
  const DevicePtr host = device->host_accessible() ? device : device->host();
  for (const bool read_only : {false, true}) {
    const auto view = read_only ? view_of<nb::ndarray<nb::ro, nb::device::cpu>>(array, host, true)
                                : view_of<nb::ndarray<nb::device::cpu>>(array, host, false);
    if (view) return view->on(device);
  }
  fail_type("the array is not in host memory, or of an element type that DLPack has not");
}

nb::object to_numpy(const Tensor& tensor) {
  if (tensor.dtype() == DType::kBF16) return to_numpy(ops::cast(tensor.detached(), DType::kF32));
  return make_array_of<nb::numpy>(tensor);
}

nb::object to_dlpack(const Tensor& tensor) { return make_array_of<nb::array_api>(tensor); }

nb::object to_list(const Tensor& tensor) {
  check(!is_quantised(tensor.dtype()), "tensor", "{} has no single elements; dequantise first",
        name(tensor.dtype()));
  return nested(on_host(tensor), 0, 0);
}

}  // namespace yiti::python
