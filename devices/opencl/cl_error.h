// Errors of OpenCL calls.
#pragma once

#include <CL/cl.h>

#include "devices/opencl/failure.h"

namespace yiti::opencl {

/// The name of an OpenCL error, such as "CL_INVALID_VALUE (-30)".
std::string error_name(cl_int error);
/// Throws, naming `call`, unless `error` is CL_SUCCESS.
void check(cl_int error, const char* call);

}  // namespace yiti::opencl
