// yiti.Tensor and yiti.DType.
#include "core/tensor.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include "bindings/python/src/arrays.h"
#include "bindings/python/src/bindings.h"
#include "bindings/python/src/buffer.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/engine.h"
#include "bindings/python/src/indexing.h"
#include "bindings/python/src/operators.h"
#include "bindings/python/src/tensor_text.h"
#include "core/shape_text.h"
#include "ops/op_list.h"

namespace yiti::python {
namespace {

void add_dtypes(nb::module_& module) {
  nb::enum_<DType> dtypes(module, "DType", "Element types.");
  const std::pair<const char*, DType> plain[] = {
      {"float64", DType::kF64},   {"float32", DType::kF32}, {"float16", DType::kF16},
      {"bfloat16", DType::kBF16}, {"int64", DType::kI64},   {"int32", DType::kI32},
      {"int16", DType::kI16},     {"int8", DType::kI8},     {"uint8", DType::kU8},
      {"bool", DType::kBool},     {"q4_0", DType::kQ4_0},   {"q4_1", DType::kQ4_1},
      {"q8_0", DType::kQ8_0}};
  for (const auto& [name, dtype] : plain) dtypes.value(name, dtype);
  dtypes.export_values();
  dtypes
      .def_prop_ro("itemsize",
                   [](DType dtype) {
                     check(!is_quantised(dtype), "dtype", "{} has no bytes for one element",
                           name(dtype));
                     return info(dtype).block_bytes;
                   })
      .def_prop_ro("is_floating", [](DType dtype) { return is_floating(dtype); });
}

Tensor cast_to(const Tensor& tensor, nb::handle dtype) {
  static const Op& cast = *find_op("cast");
  AttrWriter writer("cast", {{"dtype", nb::borrow(dtype)}});
  return call1(cast, {tensor}, cast.default_attrs.rewritten(writer));
}

bool as_bool(const Tensor& tensor) {
  check(tensor.numel() == 1, "tensor", "the truth of {} is not one value: use == and all elements",
        tensor.shape());
  return tensor.item() != 0;
}

nb::object item(const Tensor& tensor) {
  check(tensor.numel() == 1, "tensor", "item() of {}; wants one element", tensor.shape());
  return to_list(tensor.as_strided({}, {}, 0));
}

nb::tuple sizes_of(const Shape& shape) {
  nb::list list;
  for (const int64_t size : shape) list.append(size);
  return nb::tuple(list);
}

nb::object to_array(nb::handle self, nb::handle dtype, nb::handle copy) {
  nb::object array = to_numpy(self_from(self));
  const bool converts = !dtype.is_none() && !array.attr("dtype").equal(dtype);
  if (converts) {
    if (nb::isinstance<nb::bool_>(copy) && !nb::cast<bool>(copy)) {
      throw nb::value_error("a NumPy array of another dtype needs a copy");
    }
    return array.attr("astype")(dtype);
  }
  return nb::isinstance<nb::bool_>(copy) && nb::cast<bool>(copy) ? array.attr("copy")() : array;
}

void add_properties(nb::class_<Tensor>& tensor) {
  tensor.def_prop_ro("shape", [](const Tensor& x) { return sizes_of(x.shape()); })
      .def_prop_ro(
          "strides", [](const Tensor& x) { return sizes_of(x.strides()); }, "In elements.")
      .def_prop_ro("dtype", &Tensor::dtype)
      .def_prop_ro("device", [](const Tensor& x) { return x.device(); })
      .def_prop_ro("ndim", &Tensor::rank)
      .def_prop_ro("size", &Tensor::numel, "The number of elements.")
      .def_prop_ro("nbytes", &Tensor::bytes)
      .def_prop_ro("is_contiguous", &Tensor::is_contiguous)
      .def_prop_ro(
          "T",
          [](const Tensor& x) {
            check(x.rank() == 2, "tensor", "T of {}; wants a matrix", x.shape());
            static const Op& permute = *find_op("permute");
            AttrWriter writer("permute", {{"order", nb::make_tuple(1, 0)}});
            return call1(permute, {x}, permute.default_attrs.rewritten(writer));
          },
          "The matrix transposed: a view.");
}

void add_conversions(nb::class_<Tensor>& tensor) {
  tensor.def("item", &item, "The only element as a Python number.")
      .def("tolist", &to_list, "Nested lists of Python numbers.")
      .def("numpy", &to_numpy,
           "A NumPy array over the same memory (bfloat16: a float32 copy), without its gradient.")
      .def("__array__", &to_array, nb::arg("dtype") = nb::none(), nb::arg("copy") = nb::none())
      .def("__dlpack__",
           [](const Tensor& x, const nb::kwargs& kwargs) {
             return to_dlpack(x).attr("__dlpack__")(**kwargs);
           })
      .def("__dlpack_device__",
           [](const Tensor& x) { return to_dlpack(x).attr("__dlpack_device__")(); })
      .def("astype", &cast_to, nb::arg("dtype"),
           nb::sig("def astype(self, dtype: object) -> Tensor"),
           "This tensor with another plain dtype; itself where it has it.")
      .def("detach", &Tensor::detached, "The same memory, without the gradient.")
      .def(
          "copy", [](const Tensor& x) { return x.copy(); },
          "A contiguous copy, without the gradient.")
      .def("__bool__", &as_bool)
      .def("__float__", [](const Tensor& x) { return nb::float_(item(x)); })
      .def("__int__", [](const Tensor& x) { return nb::int_(item(x)); })
      .def("__index__", [](const Tensor& x) {
        check(is_integer(x.dtype()), "tensor", "a tensor of {} is no index", name(x.dtype()));
        return nb::int_(item(x));
      });
}

}  // namespace

void add_tensor(nb::module_& module) {
  add_dtypes(module);
  nb::class_<Tensor> tensor(
      module, "Tensor", nb::is_weak_referenceable(), nb::type_slots(buffer_slots()),
      "An array of one dtype. Made by yiti.tensor, zeros, randn and so on; ops make new ones.");
  tensor.def(nb::init<const Tensor&>(), nb::arg("data"), "Shares the memory of `data`.")
      .def("__len__",
           [](const Tensor& x) {
             if (x.rank() == 0) fail_type("a tensor of rank 0 has no length");
             return x.dim(0);
           })
      .def("__iter__",
           [](nb::handle self) {
             const auto& x = self_from(self);
             if (x.rank() == 0) fail_type("a tensor of rank 0 has no rows");
             nb::list rows;
             for (int64_t i = 0; i < x.dim(0); ++i) rows.append(get_item(x, nb::int_(i)));
             return nb::iter(rows);
           })
      .def("__getitem__", &get_item, nb::arg("key"))
      .def("__setitem__", &set_item, nb::arg("key"), nb::arg("value"))
      .def("__hash__", [](nb::handle self) { return reinterpret_cast<intptr_t>(self.ptr()) >> 4; })
      .def("__repr__", &tensor_text);
  tensor.attr("__array_ufunc__") = nb::none();  // NumPy's numbers leave the arithmetic to Tensor
  add_properties(tensor);
  add_conversions(tensor);
  add_operators(tensor);
}

}  // namespace yiti::python
