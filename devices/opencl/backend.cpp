#include "devices/opencl/device.h"

namespace yiti::devices::opencl {

void QueueBackend::launch(const KernelId& id, const Extent& global, const Extent& local,
                          std::span<const Argument> arguments) {
  const cl_kernel kernel = device_.kernel(id);
  for (cl_uint i = 0; i < arguments.size(); ++i) {
    const Argument& argument = arguments[i];
    const cl_mem memory = argument.memory == nullptr ? nullptr : argument.memory->buffer.get();
    const bool is_memory = argument.value == nullptr;
    check(clSetKernelArg(kernel, i, is_memory ? sizeof(memory) : argument.bytes,
                         is_memory ? &memory : argument.value),
          "clSetKernelArg");
  }
  const cl_int error = clEnqueueNDRangeKernel(queue_, kernel, 3, nullptr, global.data(),
                                              local.data(), 0, nullptr, nullptr);
  if (error == CL_SUCCESS) return;
  fail(error == CL_OUT_OF_RESOURCES || error == CL_MEM_OBJECT_ALLOCATION_FAILURE
           ? YITI_STATUS_RESOURCE_EXHAUSTED
           : YITI_STATUS_INTERNAL,
       "clEnqueueNDRangeKernel of {}: {}", id.name, error_name(error));
}

void QueueBackend::copy(const Place& target, const Place& source, int64_t bytes) {
  check(clEnqueueCopyBuffer(queue_, source.memory->buffer.get(), target.memory->buffer.get(),
                            source.offset, target.offset, static_cast<size_t>(bytes), 0, nullptr,
                            nullptr),
        "clEnqueueCopyBuffer");
}

void QueueBackend::clear(const Place& target, int64_t bytes) {
  const cl_uchar zero = 0;
  check(clEnqueueFillBuffer(queue_, target.memory->buffer.get(), &zero, sizeof(zero), target.offset,
                            static_cast<size_t>(bytes), 0, nullptr, nullptr),
        "clEnqueueFillBuffer");
}

}  // namespace yiti::devices::opencl
