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

/// From a yiti.DType, a name ("float32", "f32"), a Python type (float, int, bool) or a NumPy dtype.
/// Throws TypeError.
DType dtype_from(nb::handle value);

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

/// Writes keyword arguments into an op's attributes. Throws TypeError for one that has no field or
/// is of another type.
class AttrWriter final : public AttrVisitor {
 public:
  AttrWriter(std::string_view op, std::vector<std::pair<std::string, nb::object>> values)
      : op_(op), values_(std::move(values)) {}

  void field(const char* name, int64_t& value) override;
  void field(const char* name, double& value) override;
  void field(const char* name, bool& value) override;
  void field(const char* name, std::string& value) override;
  void field(const char* name, std::vector<int64_t>& value) override;

 private:
  std::optional<nb::object> find(const char* name) const;
  template <class T>
  void read(const char* name, T& value, const char* wanted) const;

  std::string_view op_;
  std::vector<std::pair<std::string, nb::object>> values_;
};

[[noreturn]] void fail_type(const std::string& message);
std::string class_name(nb::handle value);

}  // namespace yiti::python
