// Errors of OpenCL calls.
#pragma once

#include <CL/cl.h>

#include "devices/common/failure.h"

namespace yiti::devices::opencl {

/// The name of an OpenCL error, such as "CL_INVALID_VALUE (-30)".
std::string error_name(cl_int error);
/// Throws, naming `call`, unless `error` is CL_SUCCESS.
void check(cl_int error, const char* call);

}  // namespace yiti::devices::opencl
