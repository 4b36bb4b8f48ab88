// Errors of calls of CUDA's runtime.
#pragma once

#include <cuda_runtime_api.h>

#include "devices/common/failure.h"

namespace yiti::devices::cuda {

/// The name and text of an error: "cudaErrorMemoryAllocation: out of memory".
std::string error_text(cudaError_t error);
/// For an error that changes nothing: no later call, such as a launch, is told of it.
inline void forget(cudaError_t error) {
  if (error != cudaSuccess) static_cast<void>(cudaGetLastError());
}
/// Throws, naming `call`, unless `error` is cudaSuccess.
void check(cudaError_t error, const char* call);

}  // namespace yiti::devices::cuda
