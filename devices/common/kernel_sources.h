// The text of kernels/*.cl, which the build puts into the library.
#pragma once

namespace yiti::devices {

/// By file name without ".cl"; null where there is no such file.
const char* kernel_source(const char* file);

}  // namespace yiti::devices
