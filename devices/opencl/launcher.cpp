#include "devices/opencl/launcher.h"

#include <algorithm>

namespace yiti::opencl {

Pointer pointer(const Operand& x) {
  if (!x) return {{}, 1};
  const yiti_tensor& tensor = x.tensor();
  const cl_mem memory = tensor.memory == nullptr ? nullptr : tensor.memory->buffer.get();
  return {{memory, tensor.offset}, is_quantised(x.dtype()) ? 1 : element_bytes(x.dtype())};
}

Launcher::Launcher(yiti_device& device, cl_command_queue queue, const yiti_op_call& call,
                   int number)
    : device_(device), queue_(queue), workspace_bytes_(call.workspace_bytes), number_(number) {
  if (call.workspace != nullptr) {
    workspace_ = {call.workspace->buffer.get(), call.workspace_offset};
  }
}

Place Launcher::take(int64_t bytes) {
  const Place part = workspace_.at(static_cast<int64_t>(taken_));
  taken_ += (static_cast<uint64_t>(bytes) + 63) / 64 * 64;
  most_taken_ = std::max(most_taken_, taken_);
  if (!plans() && taken_ > workspace_bytes_) {
    fail(YITI_STATUS_INVALID_ARGUMENT, "workspace has {} bytes; wants {} or more", workspace_bytes_,
         taken_);
  }
  return part;
}

void Launcher::set(cl_kernel kernel, cl_uint& index, const Pointer& value) {
  set_bytes(kernel, index, sizeof(cl_mem), &value.place.memory);
  const auto offset = static_cast<int64_t>(value.place.offset) / value.element_bytes;
  set_bytes(kernel, index, sizeof(offset), &offset);
}

void Launcher::set(cl_kernel kernel, cl_uint& index, Fault) {
  const cl_mem word = device_.fault();
  set_bytes(kernel, index, sizeof(word), &word);
  set_bytes(kernel, index, sizeof(number_), &number_);
}

void Launcher::set_bytes(cl_kernel kernel, cl_uint& index, size_t bytes, const void* value) {
  check(clSetKernelArg(kernel, index++, bytes, value), "clSetKernelArg");
}

void Launcher::enqueue(cl_kernel kernel, const char* name, std::array<size_t, 3> global,
                       std::array<size_t, 3> local) {
  const cl_int error = clEnqueueNDRangeKernel(queue_, kernel, 3, nullptr, global.data(),
                                              local.data(), 0, nullptr, nullptr);
  if (error == CL_SUCCESS) return;
  fail(error == CL_OUT_OF_RESOURCES || error == CL_MEM_OBJECT_ALLOCATION_FAILURE
           ? YITI_STATUS_RESOURCE_EXHAUSTED
           : YITI_STATUS_INTERNAL,
       "clEnqueueNDRangeKernel of {}: {}", name, error_name(error));
}

void Launcher::copy(const Place& target, const Place& source, int64_t bytes) {
  if (plans() || bytes == 0) return;
  check(clEnqueueCopyBuffer(queue_, source.memory, target.memory, source.offset, target.offset,
                            static_cast<size_t>(bytes), 0, nullptr, nullptr),
        "clEnqueueCopyBuffer");
}

void Launcher::clear(const Place& target, int64_t bytes) {
  if (plans() || bytes == 0) return;
  const cl_uchar zero = 0;
  check(clEnqueueFillBuffer(queue_, target.memory, &zero, sizeof(zero), target.offset,
                            static_cast<size_t>(bytes), 0, nullptr, nullptr),
        "clEnqueueFillBuffer");
}

}  // namespace yiti::opencl
