#include "bindings/python/src/buffer.h"

#include <vector>

#include "core/tensor.h"

namespace yiti::python {
namespace {

namespace nb = nanobind;

// What a buffer's consumer reads until it lets go.
struct Exported {
  Tensor tensor;
  std::vector<Py_ssize_t> sizes, strides;
};

const char* format_of(DType dtype) {
  switch (dtype) {
    case DType::kF64: return "d";
    case DType::kF32: return "f";
    case DType::kF16: return "e";
    case DType::kI64: return "q";
    case DType::kI32: return "i";
    case DType::kI16: return "h";
    case DType::kI8: return "b";
    case DType::kU8: return "B";
    case DType::kBool: return "?";
    default: return nullptr;
  }
}

int refuse(const char* why) {
  PyErr_SetString(PyExc_BufferError, why);
  return -1;
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  if (!nb::inst_ready(self)) return refuse("the tensor was not made: __init__ was not called");
  const auto& tensor = *nb::inst_ptr<Tensor>(self);
  const char* format = format_of(tensor.dtype());
  if (format == nullptr) return refuse("this dtype has no buffer format; cast it first");
  if (!tensor.has_storage()) return refuse("the tensor has no data");
  if (!tensor.device()->host_accessible()) {
    return refuse("the tensor is not in host memory; move it to the CPU first");
  }
  const bool read_only = tensor.storage()->read_only();
  if (read_only && (flags & PyBUF_WRITABLE) != 0) return refuse("the tensor's memory is read-only");
  if ((flags & PyBUF_STRIDES) != PyBUF_STRIDES && !tensor.is_contiguous()) {
    return refuse("the tensor is not contiguous, and no strides were asked for");
  }
  if (((flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS ||
       (flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS) &&
      !(tensor.is_contiguous() &&
        ((flags & PyBUF_F_CONTIGUOUS) != PyBUF_F_CONTIGUOUS || tensor.rank() <= 1))) {
    return refuse("the tensor does not lie as contiguous as was asked for");
  }
  const auto element = static_cast<Py_ssize_t>(info(tensor.dtype()).block_bytes);
  auto* held = new Exported{tensor.detached(), {}, {}};
  for (const int64_t size : tensor.shape()) held->sizes.push_back(size);
  for (const int64_t stride : tensor.strides()) held->strides.push_back(stride * element);
  view->obj = Py_NewRef(self);
  view->buf = held->tensor.raw();
  view->len = static_cast<Py_ssize_t>(tensor.bytes());
  view->itemsize = element;
  view->readonly = read_only ? 1 : 0;
  view->ndim = tensor.rank();
  view->format = (flags & PyBUF_FORMAT) != 0 ? const_cast<char*>(format) : nullptr;
  view->shape = (flags & PyBUF_ND) != 0 ? held->sizes.data() : nullptr;
  view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? held->strides.data() : nullptr;
  view->suboffsets = nullptr;
  view->internal = held;
  return 0;
}

void release_buffer(PyObject*, Py_buffer* view) { delete static_cast<Exported*>(view->internal); }

const PyType_Slot kSlots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void*>(&get_buffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(&release_buffer)},
    {0, nullptr},
};

}  // namespace

const PyType_Slot* buffer_slots() { return kSlots; }

}  // namespace yiti::python
