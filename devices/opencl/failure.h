// What goes wrong inside the plug-in: thrown here, and told through the C table as a status.
#pragma once

#include <CL/cl.h>
#include <fmt/format.h>

#include <string>
#include <utility>

#include "core/plugin/yiti_device.h"

namespace yiti::opencl {

struct Failure {
  yiti_status status;
  std::string message;
};

template <class... A>
[[noreturn]] void fail(yiti_status status, fmt::format_string<A...> text, A&&... values) {
  throw Failure{status, fmt::format(text, std::forward<A>(values)...)};
}

/// Throws what `refused` says: the device does not run this call.
template <class... A>
void require(bool holds, fmt::format_string<A...> refused, A&&... values) {
  if (!holds) fail(YITI_STATUS_UNIMPLEMENTED, refused, std::forward<A>(values)...);
}

/// The name of an OpenCL error, such as "CL_INVALID_VALUE (-30)".
std::string error_name(cl_int error);
/// Throws, naming `call`, unless `error` is CL_SUCCESS.
void check(cl_int error, const char* call);

}  // namespace yiti::opencl
