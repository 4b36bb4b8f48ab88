#include "bindings/python/src/convert.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>

#include "bindings/python/src/engine.h"
#include "ops/shape/cast.h"

namespace yiti::python {
namespace {

struct DTypeName {
  std::string_view name;
  DType dtype;
};

// Beside the names of core/dtype.h.
constexpr DTypeName kNames[] = {
    {"float64", DType::kF64},   {"float32", DType::kF32}, {"float16", DType::kF16},
    {"bfloat16", DType::kBF16}, {"int64", DType::kI64},   {"int32", DType::kI32},
    {"int16", DType::kI16},     {"int8", DType::kI8},     {"uint8", DType::kU8},
    {"bool", DType::kBool},     {"float", DType::kF32},   {"int", DType::kI64},
};

std::optional<DType> dtype_named(std::string_view wanted) {
  for (const DTypeName& entry : kNames) {
    if (entry.name == wanted) return entry.dtype;
  }
  for (int i = 0; i <= static_cast<int>(DType::kQ8_0); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (name(dtype) == wanted) return dtype;
  }
  return std::nullopt;
}

}  // namespace

void fail_type(const std::string& message) { throw nb::type_error(message.c_str()); }

void fail_value(nb::handle value, std::string_view what, std::string_view wanted) {
  check(!PyLong_Check(value.ptr()) || wanted.find("int") == wanted.npos, what,
        "{} is out of its range", nb::cast<std::string>(nb::repr(value)).substr(0, 40));
  fail_type(fmt::format("{} is a {}; wants {}", what, class_name(value), wanted));
}

Tensor& self_from(nb::handle self) {
  Tensor* tensor = nullptr;
  if (!nb::try_cast(self, tensor)) fail_type("the tensor was not made: __init__ was not called");
  return *tensor;
}

Tensor tensor_from(nb::handle value, std::string_view what) {
  return value_from<Tensor>(value, what, "a Tensor");
}

double number_from(nb::handle value, std::string_view what) {
  return value_from<double>(value, what, "a number");
}

std::string path_from(nb::handle value) {
  return value_from<std::string>(nb::module_::import_("os").attr("fsdecode")(value), "path",
                                 "a name in UTF-8");
}

std::string class_name(nb::handle value) {
  return nb::cast<std::string>(nb::handle(value.type()).attr("__name__"));
}

DType dtype_from(nb::handle value) {
  DType dtype = DType::kF32;
  if (nb::try_cast(value, dtype)) return dtype;
  std::string text;
  if (nb::isinstance<nb::str>(value)) {
    text = nb::cast<std::string>(value);
  } else if (nb::hasattr(value, "name")) {
    text = nb::cast<std::string>(nb::str(value.attr("name")));
  } else if (nb::hasattr(value, "__name__")) {
    text = nb::cast<std::string>(nb::str(value.attr("__name__")));
  }
  const std::optional<DType> named = dtype_named(text);
  if (!named) {
    fail_type("got " + nb::cast<std::string>(nb::repr(value)) +
              " for a dtype; wants one such as yiti.float32 or \"float32\"");
  }
  return *named;
}

std::vector<int64_t> ints_from(nb::handle value) {
  std::vector<int64_t> ints;
  int64_t one = 0;
  const bool listed = PyList_Check(value.ptr()) || PyTuple_Check(value.ptr());
  if (!listed && nb::try_cast(value, one)) return {one};
  if (nb::isinstance<nb::sequence>(value) && !nb::isinstance<nb::str>(value) &&
      nb::try_cast(value, ints)) {
    return ints;
  }
  fail_value(value, "the argument", "an int or a sequence of ints");
}

Shape shape_from(nb::handle value) {
  const std::vector<int64_t> sizes = ints_from(value);
  for (const int64_t size : sizes) check(size >= 0, "tensor", "a size is negative: {}", size);
  return Shape(sizes);
}

Shape shape_from_args(const nb::args& args) {
  return args.size() == 1 ? shape_from(args[0]) : shape_from(args);
}

bool is_number(nb::handle value) {
  if (PyFloat_Check(value.ptr()) || PyLong_Check(value.ptr())) return true;
  return !nb::isinstance<Tensor>(value) && PyNumber_Check(value.ptr()) &&
         nb::hasattr(value, "dtype") && nb::hasattr(value, "ndim") &&
         nb::cast<int>(value.attr("ndim")) == 0;
}

Tensor operand_from(nb::handle value, const Tensor& like, std::string_view where,
                    std::string_view argument) {
  const Tensor* tensor = nullptr;
  if (nb::try_cast(value, tensor) && tensor != nullptr) return *tensor;
  if (!is_number(value)) {
    fail_type(fmt::format("{}: {} is a {}; wants a Tensor or a number", where, argument,
                          class_name(value)));
  }
  return Tensor::full({}, nb::cast<double>(nb::float_(value)), like.dtype(), like.device());
}

DType common_dtype(DType a, DType b, std::string_view where) {
  if (a == b) return a;
  check(!is_quantised(a) && !is_quantised(b), where, "got {} and {}; wants plain types", name(a),
        name(b));
  if (is_floating(a) != is_floating(b)) return is_floating(a) ? a : b;
  if ((a == DType::kF16 && b == DType::kBF16) || (a == DType::kBF16 && b == DType::kF16)) {
    return DType::kF32;
  }
  if (a == DType::kBool) return b;
  if (b == DType::kBool) return a;
  const auto bytes = [](DType dtype) { return info(dtype).block_bytes; };
  if (bytes(a) == bytes(b)) return DType::kI16;  // i8 and u8
  return bytes(a) > bytes(b) ? a : b;
}

const nb::object* AttrWriter::find(const char* name) const {
  for (const auto& [key, value] : values_) {
    if (key == name) return &value;
  }
  return nullptr;
}

template <class T>
void AttrWriter::read(const char* name, T& value, const char* wanted) const {
  const nb::object* given = find(name);
  if (given != nullptr && !nb::try_cast(*given, value)) {
    fail_value(*given, fmt::format("{}: {}", op_, name), wanted);
  }
}

void AttrWriter::field(const char* name, int64_t& value) { read(name, value, "an int"); }
void AttrWriter::field(const char* name, double& value) { read(name, value, "a number"); }
void AttrWriter::field(const char* name, bool& value) { read(name, value, "a bool"); }

void AttrWriter::field(const char* name, std::string& value) {
  // The strings that ops take name dtypes.
  if (const nb::object* given = find(name)) value = yiti::name(dtype_from(*given));
}

void AttrWriter::field(const char* name, std::vector<int64_t>& value) {
  if (const nb::object* given = find(name)) value = ints_from(*given);
}

}  // namespace yiti::python
