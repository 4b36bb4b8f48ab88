// An op call as the ops read it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "devices/common/failure.h"

namespace yiti::devices {

const char* dtype_name(uint32_t dtype);
/// Throws for a name that is none.
uint32_t dtype_of(std::string_view name);
/// Bytes of an element of a plain dtype, 0 for quantised ones.
int64_t element_bytes(uint32_t dtype);
inline bool is_quantised(uint32_t dtype) { return dtype >= YITI_DTYPE_Q4_0; }

/// A tensor of the call. One that was left out, as outputs are while an op is planned, has no axes
/// and no dtype.
class Operand {
 public:
  explicit Operand(const yiti_tensor* tensor) : tensor_(tensor) {}

  explicit operator bool() const { return tensor_ != nullptr; }
  const yiti_tensor& tensor() const { return *tensor_; }
  uint32_t dtype() const { return tensor_ == nullptr ? 0 : tensor_->dtype; }
  int rank() const { return tensor_ == nullptr ? 0 : static_cast<int>(tensor_->rank); }
  /// Negative axes count from the end.
  int64_t dim(int axis) const {
    return tensor_ == nullptr ? 0 : tensor_->shape[axis < 0 ? rank() + axis : axis];
  }
  int64_t stride(int axis) const {
    return tensor_ == nullptr ? 0 : tensor_->strides[axis < 0 ? rank() + axis : axis];
  }
  int64_t numel() const { return tensor_ == nullptr ? 0 : numel(0, rank()); }
  /// The product of the sizes of axes [begin, end).
  int64_t numel(int begin, int end) const {
    int64_t count = 1;
    for (int axis = begin; axis < end; ++axis) count *= tensor_->shape[axis];
    return count;
  }
  /// The tensor [..., width] as that many rows.
  int64_t width() const { return dim(-1); }
  int64_t rows() const { return numel(0, rank() - 1); }
  bool is_packed() const { return tensor_ != nullptr && tensor_->layout == YITI_LAYOUT_PACKED; }
  bool is_f32() const { return dtype() == YITI_DTYPE_F32; }

 private:
  const yiti_tensor* tensor_;
};

class Call {
 public:
  explicit Call(const yiti_op_call& call) : call_(call) {}

  std::string_view op() const { return call_.op; }
  int inputs() const { return static_cast<int>(call_.input_count); }
  Operand in(int i) const { return Operand(i < inputs() ? call_.inputs[i] : nullptr); }
  Operand out(int i) const {
    return Operand(i < static_cast<int>(call_.output_count) ? call_.outputs[i] : nullptr);
  }
  const yiti_op_call& raw() const { return call_; }

  int64_t integer(std::string_view name) const { return attribute(name).value.int_value; }
  bool flag(std::string_view name) const { return integer(name) != 0; }
  double number(std::string_view name) const { return attribute(name).value.float_value; }
  float real(std::string_view name) const { return static_cast<float>(number(name)); }
  std::string_view text(std::string_view name) const { return attribute(name).value.string_value; }
  std::span<const int64_t> integers(std::string_view name) const {
    const yiti_attribute& found = attribute(name);
    return {found.value.int_values, found.count};
  }
  /// An axis of `x` by its attribute, not negative.
  int axis(std::string_view name, const Operand& x) const {
    const int64_t given = integer(name);
    return static_cast<int>(given < 0 ? given + x.rank() : given);
  }

 private:
  const yiti_attribute& attribute(std::string_view name) const {
    for (uint32_t i = 0; i < call_.attribute_count; ++i) {
      if (name == call_.attributes[i].name) return call_.attributes[i];
    }
    fail(YITI_STATUS_INVALID_ARGUMENT, "no attribute {}", name);
  }

  const yiti_op_call& call_;
};

/// Refuses unless all floats among the first `count` inputs are f32.
void require_f32(const Call& call, int count);

}  // namespace yiti::devices
