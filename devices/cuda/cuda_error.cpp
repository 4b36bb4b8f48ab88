#include "devices/cuda/cuda_error.h"

namespace yiti::devices::cuda {
namespace {

yiti_status status_of(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
    case cudaErrorLaunchOutOfResources: return YITI_STATUS_RESOURCE_EXHAUSTED;
    case cudaErrorInsufficientDriver:
    case cudaErrorNoDevice:
    case cudaErrorStubLibrary:
    case cudaErrorDevicesUnavailable:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorSystemNotReady:
    case cudaErrorCompatNotSupportedOnDevice: return YITI_STATUS_UNAVAILABLE;
    default: return YITI_STATUS_INTERNAL;
  }
}

}  // namespace

std::string error_text(cudaError_t error) {
  return fmt::format("{}: {}", cudaGetErrorName(error), cudaGetErrorString(error));
}

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  forget(error);
  fail(status_of(error), "{}: {}", call, error_text(error));
}

}  // namespace yiti::devices::cuda
