// Python values as yiti's: dtypes, shapes, tensors.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/attrs.h"
#include "core/op.h"
#include "core/tensor.h"

namespace yiti::python {

namespace nb = nanobind;

[[noreturn]] void fail_type(const std::string& message);
/// TypeError for a value of another type, InvalidArgumentError for an int above 64 bits.
[[noreturn]] void fail_value(nb::handle value, std::string_view what, std::string_view wanted);
std::string class_name(nb::handle value);

/// From a yiti.DType, a name ("float32", "f32"), a Python type (float, int, bool) or a NumPy dtype.
/// Throws TypeError.
DType dtype_from(nb::handle value);

/// A value of a type that nanobind knows. Throws TypeError: "`what` is a …; wants `wanted`".
template <class T>
T value_from(nb::handle value, std::string_view what, std::string_view wanted) {
  T result{};
  if (!nb::try_cast(value, result)) fail_value(value, what, wanted);
  return result;
}
/// Of a method. Throws TypeError where a subclass did not call __init__.
Tensor& self_from(nb::handle self);
Tensor tensor_from(nb::handle value, std::string_view what);
double number_from(nb::handle value, std::string_view what);
/// From a str, bytes or os.PathLike.
std::string path_from(nb::handle value);

/// From an int or a sequence of ints.
std::vector<int64_t> ints_from(nb::handle value);
Shape shape_from(nb::handle value);
/// What f(*sizes) got: ints one by one, or one sequence.
Shape shape_from_args(const nb::args& args);

/// True for int, float and bool (and NumPy's scalars), which take part in arithmetic as they are.
bool is_number(nb::handle value);

/// A tensor, or a number as one of `like`'s dtype. Throws TypeError naming `where` and `argument`.
Tensor operand_from(nb::handle value, const Tensor& like, std::string_view where,
                    std::string_view argument);

/// The dtype that arithmetic on both has: of the same kind the wider one, else the float. Throws
/// kInvalidArgument where there is none.
DType common_dtype(DType a, DType b, std::string_view where);

/// Writes keyword arguments into an op's attributes; the names outlive it. Throws TypeError for one
/// that has no field or is of another type.
class AttrWriter final : public AttrVisitor {
 public:
  AttrWriter(std::string_view op, std::vector<std::pair<std::string_view, nb::object>> values)
      : op_(op), values_(std::move(values)) {}

  void field(const char* name, int64_t& value) override;
  void field(const char* name, double& value) override;
  void field(const char* name, bool& value) override;
  void field(const char* name, std::string& value) override;
  void field(const char* name, std::vector<int64_t>& value) override;

 private:
  const nb::object* find(const char* name) const;
  template <class T>
  void read(const char* name, T& value, const char* wanted) const;

  std::string_view op_;
  std::vector<std::pair<std::string_view, nb::object>> values_;
};

}  // namespace yiti::python
