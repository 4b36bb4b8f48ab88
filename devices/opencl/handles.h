// OpenCL objects that are released when they go out of scope.
#pragma once

#include <CL/cl.h>

#include <memory>
#include <type_traits>

namespace yiti::opencl {

template <auto kRelease>
struct Releaser {
  template <class T>
  void operator()(T* object) const {
    kRelease(object);
  }
};

template <class T, auto kRelease>
using Handle = std::unique_ptr<std::remove_pointer_t<T>, Releaser<kRelease>>;

using Context = Handle<cl_context, &clReleaseContext>;
using Queue = Handle<cl_command_queue, &clReleaseCommandQueue>;
using Buffer = Handle<cl_mem, &clReleaseMemObject>;
using Program = Handle<cl_program, &clReleaseProgram>;
using Kernel = Handle<cl_kernel, &clReleaseKernel>;
using Event = Handle<cl_event, &clReleaseEvent>;

}  // namespace yiti::opencl
