#include "core/plugin/op_call.h"

#include <algorithm>

#include "core/error.h"

namespace yiti {
namespace {

static_assert(YITI_MAX_RANK == Shape::kMaxRank);

uint32_t dtype_code(DType dtype) {
  switch (dtype) {
    case DType::kF64: return YITI_DTYPE_F64;
    case DType::kF32: return YITI_DTYPE_F32;
    case DType::kF16: return YITI_DTYPE_F16;
    case DType::kBF16: return YITI_DTYPE_BF16;
    case DType::kI64: return YITI_DTYPE_I64;
    case DType::kI32: return YITI_DTYPE_I32;
    case DType::kI16: return YITI_DTYPE_I16;
    case DType::kI8: return YITI_DTYPE_I8;
    case DType::kU8: return YITI_DTYPE_U8;
    case DType::kBool: return YITI_DTYPE_BOOL;
    case DType::kQ4_0: return YITI_DTYPE_Q4_0;
    case DType::kQ4_1: return YITI_DTYPE_Q4_1;
    case DType::kQ8_0: return YITI_DTYPE_Q8_0;
  }
  return 0;
}

class Collector final : public AttrVisitor {
 public:
  Collector(std::vector<yiti_attribute>& attributes, std::deque<std::string>& strings,
            std::deque<std::vector<int64_t>>& lists)
      : attributes_(attributes), strings_(strings), lists_(lists) {}

  void field(const char* name, int64_t& value) override {
    add(name, YITI_ATTRIBUTE_INT).value.int_value = value;
  }
  void field(const char* name, double& value) override {
    add(name, YITI_ATTRIBUTE_FLOAT).value.float_value = value;
  }
  void field(const char* name, bool& value) override {
    add(name, YITI_ATTRIBUTE_BOOL).value.int_value = value ? 1 : 0;
  }
  void field(const char* name, std::string& value) override {
    add(name, YITI_ATTRIBUTE_STRING).value.string_value = strings_.emplace_back(value).c_str();
  }
  void field(const char* name, std::vector<int64_t>& value) override {
    yiti_attribute& attribute = add(name, YITI_ATTRIBUTE_INTS);
    attribute.count = static_cast<uint32_t>(value.size());
    attribute.value.int_values = lists_.emplace_back(value).data();
  }

 private:
  yiti_attribute& add(const char* name, yiti_attribute_type type) {
    yiti_attribute attribute{};
    attribute.name = name;
    attribute.type = type;
    return attributes_.emplace_back(attribute);
  }

  std::vector<yiti_attribute>& attributes_;
  std::deque<std::string>& strings_;
  std::deque<std::vector<int64_t>>& lists_;
};

// Appends what it sees to a text.
class Spelling final : public AttrVisitor {
 public:
  explicit Spelling(std::string& text) : text_(text) {}

  template <class T>
  void add(const T& value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void field(const char*, int64_t& value) override { add(value); }
  void field(const char*, double& value) override { add(value); }
  void field(const char*, bool& value) override { add(value); }
  void field(const char*, std::string& value) override {
    add(value.size());
    text_ += value;
  }
  void field(const char*, std::vector<int64_t>& value) override {
    add(value.size());
    for (const int64_t& one : value) add(one);
  }

 private:
  std::string& text_;
};

}  // namespace

std::string question_of(const std::string& op, std::span<const Tensor> in, const Attrs& attrs) {
  std::string text = op + '\0';
  Spelling spelling(text);
  for (const Tensor& tensor : in) {
    spelling.add(tensor.defined() ? dtype_code(tensor.dtype()) : 0);
    if (!tensor.defined()) continue;
    spelling.add(tensor.layout());
    spelling.add(tensor.rank());
    for (const int64_t size : tensor.shape()) spelling.add(size);
  }
  attrs.read(spelling);
  return text;
}

yiti_tensor describe_tensor(const Tensor& tensor, const Shape& strides, DeviceMemory::Place place) {
  yiti_tensor description{};
  description.struct_size = sizeof(description);
  description.dtype = dtype_code(tensor.dtype());
  description.rank = static_cast<uint32_t>(tensor.rank());
  description.layout = tensor.layout() == Layout::kPanels ? YITI_LAYOUT_PACKED : YITI_LAYOUT_ROWS;
  std::copy(tensor.shape().begin(), tensor.shape().end(), description.shape);
  std::copy(strides.begin(), strides.end(), description.strides);
  description.memory = place.memory;
  description.offset = place.offset;
  return description;
}

OpCall::OpCall(const std::string& op, std::span<const Tensor> in, const Attrs& attrs) {
  call_.op = op.c_str();
  for (const Tensor& tensor : in) add(tensor, contiguous_strides(tensor.shape()), {});
  add_attributes(attrs);
  finish(in.size());
}

OpCall::OpCall(const std::string& op, std::span<const Tensor> in, std::span<const Tensor> out,
               const Attrs& attrs, const DeviceMemory& memory) {
  call_.op = op.c_str();
  for (const std::span<const Tensor> list : {in, out}) {
    for (const Tensor& tensor : list) {
      add(tensor, tensor.strides(),
          tensor.defined() ? memory.locate(tensor.raw()) : DeviceMemory::Place{});
    }
  }
  add_attributes(attrs);
  finish(in.size());
}

void OpCall::add(const Tensor& tensor, const Shape& strides, DeviceMemory::Place place) {
  pointers_.push_back(nullptr);
  if (!tensor.defined()) return;
  pointers_.back() = &tensors_.emplace_back(describe_tensor(tensor, strides, place));
}

void OpCall::add_output(const Tensor& like, DeviceMemory::Place place) {
  add(like, contiguous_strides(like.shape()), place);
  finish(call_.input_count);
}

void OpCall::add_attributes(const Attrs& attrs) {
  Collector collector(attributes_, strings_, lists_);
  attrs.read(collector);
}

void OpCall::finish(size_t inputs) {
  call_.struct_size = sizeof(call_);
  call_.input_count = static_cast<uint32_t>(inputs);
  call_.output_count = static_cast<uint32_t>(pointers_.size() - inputs);
  call_.attribute_count = static_cast<uint32_t>(attributes_.size());
  call_.inputs = pointers_.data();
  call_.outputs = pointers_.data() + inputs;
  call_.attributes = attributes_.data();
}

void OpCall::set_workspace(DeviceMemory::Place place, uint64_t bytes) {
  call_.workspace = place.memory;
  call_.workspace_offset = place.offset;
  call_.workspace_bytes = bytes;
}

}  // namespace yiti
