#include "bindings/python/src/operators.h"

#include "bindings/python/src/convert.h"
#include "bindings/python/src/engine.h"
#include "ops/elementwise/binary.h"
#include "ops/elementwise/compare.h"
#include "ops/elementwise/scale.h"
#include "ops/elementwise/unary.h"
#include "ops/elementwise/unary_family.h"
#include "ops/elementwise/where.h"
#include "ops/linear/matmul.h"
#include "ops/op_list.h"

namespace yiti::python {
namespace {

bool is_operand(nb::handle value) { return nb::isinstance<Tensor>(value) || is_number(value); }

nb::object not_implemented() { return nb::borrow(Py_NotImplemented); }

Tensor to_dtype(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) return tensor;
  static const Op& cast = *find_op("cast");
  AttrWriter writer("cast", {{"dtype", nb::str(name(dtype).data())}});
  return call1(cast, {tensor}, cast.default_attrs.rewritten(writer));
}

// A number with a fraction makes floats of integers.
Tensor as_tensor(nb::handle value, const Tensor& like, std::string_view where) {
  const bool fraction = PyFloat_Check(value.ptr());
  if (fraction && !is_floating(like.dtype())) {
    return Tensor::full({}, nb::cast<double>(value), DType::kF32, like.device());
  }
  if (like.dtype() == DType::kBool && !PyBool_Check(value.ptr()) && is_number(value)) {
    return Tensor::full({}, nb::cast<double>(nb::float_(value)), DType::kI64, like.device());
  }
  return operand_from(value, like, where, "the other operand");
}

Tensor apply(const Op& op, const Tensor& a, const Tensor& b, bool floats = false) {
  DType dtype = common_dtype(a.dtype(), b.dtype(), op.name);
  if (floats && !is_floating(dtype)) dtype = DType::kF32;
  const bool compares = op.outputs[0].dtype == DType::kBool;
  // Small integers are computed in 32 bits, and wrap around when they are made small again.
  const bool widens =
      is_integer(dtype) ? info(dtype).block_bytes < 4 : compares && !is_floating(dtype);
  const DType wide = widens ? DType::kI32 : dtype;
  const Tensor y = call1(op, {to_dtype(a, wide), to_dtype(b, wide)});
  return compares ? y : to_dtype(y, dtype);
}

Tensor apply(const Op& op, const Tensor& a, nb::handle other, bool swapped, bool floats = false) {
  const Tensor b = as_tensor(other, a, op.name);
  return swapped ? apply(op, b, a, floats) : apply(op, a, b, floats);
}

// x * factor + offset where one op does it.
std::optional<Tensor> scaled(const Tensor& x, nb::handle other, double factor_of_x,
                             double factor_of_number) {
  if (!is_floating(x.dtype()) || !is_number(other)) return std::nullopt;
  const double number = nb::cast<double>(nb::float_(other));
  return call1(scale_op(), {x}, ScaleAttrs{factor_of_x, factor_of_number * number});
}

std::optional<Tensor> multiplied(const Tensor& x, nb::handle other, bool divide) {
  if (!is_floating(x.dtype()) || !is_number(other)) return std::nullopt;
  const double number = nb::cast<double>(nb::float_(other));
  if (divide && number == 0) return std::nullopt;
  return call1(scale_op(), {x}, ScaleAttrs{divide ? 1 / number : number, 0});
}

Tensor choose(const Tensor& condition, const Tensor& a, const Tensor& b) {
  return call1(where_op(), {condition, a, b});
}

Tensor constant(bool value, const Tensor& like) {
  return Tensor::full({}, value, DType::kBool, like.device());
}

Tensor negated(const Tensor& x) { return choose(x, constant(false, x), constant(true, x)); }

Tensor power(const Tensor& x, nb::handle exponent, bool swapped) {
  if (!swapped && is_floating(x.dtype()) && is_number(exponent)) {
    const double number = nb::cast<double>(nb::float_(exponent));
    if (number == 2) return call1(square_op(), {x});
    if (number == 0.5) return call1(sqrt_op(), {x});
  }
  return apply(pow_op(), x, exponent, swapped, /*floats=*/true);
}

enum class Comparison { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };

Tensor compared(const Tensor& x, nb::handle other, Comparison how) {
  const auto is = [&](const Op& op) { return apply(op, x, other, false); };
  switch (how) {
    case Comparison::kEqual: return is(equal_op());
    case Comparison::kNotEqual: return negated(is(equal_op()));
    case Comparison::kLess: return is(less_op());
    case Comparison::kGreater: return is(greater_op());
    default: break;
  }
  const Tensor strict = is(how == Comparison::kLessEqual ? less_op() : greater_op());
  return choose(strict, constant(true, x), is(equal_op()));
}

void require_bool(const Tensor& x, const char* where) {
  check(x.dtype() == DType::kBool, where, "got {}; wants bool", name(x.dtype()));
}

// An operator's method, which leaves operands that it does not know to Python.
template <class F>
auto binary(F f) {
  return [f](const Tensor& x, nb::handle other) -> nb::object {
    if (!is_operand(other)) return not_implemented();
    return nb::cast(f(x, other));
  };
}

template <class F>
void define(nb::class_<Tensor>& tensor, const char* name, F f) {
  const std::string signature = fmt::format("def {}(self, other: Tensor | float) -> Tensor", name);
  tensor.def(name, binary(f), nb::is_operator(), nb::sig(signature.c_str()));
}

}  // namespace

void add_operators(nb::class_<Tensor>& tensor) {
  const auto add = [](const Tensor& x, nb::handle y) {
    const auto short_form = scaled(x, y, 1, 1);
    return short_form ? *short_form : apply(add_op(), x, y, false);
  };
  const auto multiply = [](const Tensor& x, nb::handle y) {
    const auto short_form = multiplied(x, y, false);
    return short_form ? *short_form : apply(mul_op(), x, y, false);
  };
  define(tensor, "__add__", add);
  define(tensor, "__radd__", add);
  define(tensor, "__mul__", multiply);
  define(tensor, "__rmul__", multiply);
  define(tensor, "__sub__", [](const Tensor& x, nb::handle y) {
    const auto short_form = scaled(x, y, 1, -1);
    return short_form ? *short_form : apply(sub_op(), x, y, false);
  });
  define(tensor, "__rsub__", [](const Tensor& x, nb::handle y) {
    const auto short_form = scaled(x, y, -1, 1);
    return short_form ? *short_form : apply(sub_op(), x, y, true);
  });
  define(tensor, "__truediv__", [](const Tensor& x, nb::handle y) {
    const auto short_form = multiplied(x, y, true);
    return short_form ? *short_form : apply(div_op(), x, y, false, true);
  });
  define(tensor, "__rtruediv__",
         [](const Tensor& x, nb::handle y) { return apply(div_op(), x, y, true, true); });
  define(tensor, "__pow__", [](const Tensor& x, nb::handle y) { return power(x, y, false); });
  define(tensor, "__rpow__", [](const Tensor& x, nb::handle y) { return power(x, y, true); });
  define(tensor, "__matmul__", [](const Tensor& x, nb::handle y) {
    if (!nb::isinstance<Tensor>(y)) fail_type("matmul: the other operand is a number");
    return apply(matmul_op(), x, y, false);
  });
  const std::pair<const char*, Comparison> comparisons[] = {
      {"__eq__", Comparison::kEqual},   {"__ne__", Comparison::kNotEqual},
      {"__lt__", Comparison::kLess},    {"__le__", Comparison::kLessEqual},
      {"__gt__", Comparison::kGreater}, {"__ge__", Comparison::kGreaterEqual}};
  for (const auto& [name, how] : comparisons) {
    define(tensor, name,
           [how = how](const Tensor& x, nb::handle y) { return compared(x, y, how); });
  }
  tensor
      .def("__and__",
           [](const Tensor& x, const Tensor& y) {
             require_bool(x, "and");
             return choose(x, y, constant(false, x));
           })
      .def("__or__",
           [](const Tensor& x, const Tensor& y) {
             require_bool(x, "or");
             return choose(x, constant(true, x), y);
           })
      .def("__xor__",
           [](const Tensor& x, const Tensor& y) {
             require_bool(x, "xor");
             return choose(x, negated(y), y);
           })
      .def("__invert__",
           [](const Tensor& x) {
             require_bool(x, "not");
             return negated(x);
           })
      .def("__neg__",
           [](const Tensor& x) {
             return is_floating(x.dtype())
                        ? call1(neg_op(), {x})
                        : apply(sub_op(), Tensor::full({}, 0, x.dtype(), x.device()), x);
           })
      .def("__pos__", [](const Tensor& x) { return x; })
      .def("__abs__", [](const Tensor& x) {
        if (is_floating(x.dtype())) return call1(abs_op(), {x});
        const Tensor zero = Tensor::full({}, 0, x.dtype(), x.device());
        return choose(apply(less_op(), x, zero), apply(sub_op(), zero, x), x);
      });
}

}  // namespace yiti::python
