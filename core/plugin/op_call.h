// An op's call as the C table has it.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <vector>

#include "core/attrs.h"
#include "core/plugin/device_memory.h"
#include "core/plugin/yiti_device.h"
#include "core/tensor.h"

namespace yiti {

/// A tensor with its memory at `place`.
yiti_tensor describe_tensor(const Tensor& tensor, const Shape& strides, DeviceMemory::Place place);

/// What supports_op is asked about a call, as a text of bytes: dtypes, layouts, shapes and
/// attributes.
std::string question_of(const std::string& op, std::span<const Tensor> in, const Attrs& attrs);

/// Descriptors of the tensors and attributes of one call, and what they point to. Tensors that are
/// not defined become null pointers.
class OpCall {
 public:
  /// A description for supports_op: inputs with contiguous strides, no outputs, no memory.
  OpCall(const std::string& op, std::span<const Tensor> in, const Attrs& attrs);
  /// A call for run_op, with memory.
  OpCall(const std::string& op, std::span<const Tensor> in, std::span<const Tensor> out,
         const Attrs& attrs, const DeviceMemory& memory);
  OpCall(const OpCall&) = delete;
  OpCall& operator=(const OpCall&) = delete;

  /// One output more: contiguous, with shape and dtype of `like`, at `place`.
  void add_output(const Tensor& like, DeviceMemory::Place place);
  void set_workspace(DeviceMemory::Place place, uint64_t bytes);
  const yiti_op_call* get() const { return &call_; }

 private:
  void add_attributes(const Attrs& attrs);
  void add(const Tensor& tensor, const Shape& strides, DeviceMemory::Place place);
  void finish(size_t inputs);

  std::deque<yiti_tensor> tensors_;
  std::vector<const yiti_tensor*> pointers_;  // inputs, then outputs
  std::vector<yiti_attribute> attributes_;
  std::deque<std::string> strings_;
  std::deque<std::vector<int64_t>> lists_;
  yiti_op_call call_{};
};

}  // namespace yiti
