// OpenCL objects that are released when they go out of scope.
#pragma once

#include <CL/cl.h>

#include "devices/common/handle.h"

namespace yiti::devices::opencl {

using Context = Handle<cl_context, &clReleaseContext>;
using Queue = Handle<cl_command_queue, &clReleaseCommandQueue>;
using Buffer = Handle<cl_mem, &clReleaseMemObject>;
using Program = Handle<cl_program, &clReleaseProgram>;
using Kernel = Handle<cl_kernel, &clReleaseKernel>;
using Event = Handle<cl_event, &clReleaseEvent>;

}  // namespace yiti::devices::opencl
