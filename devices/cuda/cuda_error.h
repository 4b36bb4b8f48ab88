// Errors of calls of CUDA's runtime.
#pragma once

#include <cuda_runtime_api.h>

#include "devices/common/failure.h"

namespace yiti::devices::cuda {

/// The name and text of an error: "cudaErrorMemoryAllocation: out of memory".
std::string error_text(cudaError_t error);
/// Throws, naming `call`, unless `error` is cudaSuccess.
void check(cudaError_t error, const char* call);

}  // namespace yiti::devices::cuda
