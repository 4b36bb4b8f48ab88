#include "tests/devices/cuda/runtime.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace yiti::noted {

Runtime& runtime() {
  static Runtime one;
  return one;
}

namespace {

cudaError_t last_error = cudaSuccess;
uintptr_t numbers = 0;
std::set<const void*> capturing, spoilt;  // streams

// Filled before globals are made.
std::map<const void*, std::string>& kernel_names() {
  static std::map<const void*, std::string> names;
  return names;
}

unsigned long number(const void* object) { return reinterpret_cast<uintptr_t>(object); }

cudaError_t told(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

// The error that the function is to give now.
cudaError_t outcome(const char* function) {
  std::vector<cudaError_t>& errors = runtime().failures[function];
  if (errors.empty()) return cudaSuccess;
  const cudaError_t error = errors.front();
  errors.erase(errors.begin());
  return told(error);
}

template <class T>
cudaError_t make(T* object) {
  *object = reinterpret_cast<T>(++numbers);
  runtime().live.insert(*object);
  return cudaSuccess;
}

cudaError_t release(const void* object) {
  return told(runtime().live.erase(object) == 1 ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t make_memory(void** memory, size_t bytes) {
  *memory = std::calloc(1, bytes);
  runtime().live.insert(*memory);
  return cudaSuccess;
}

cudaError_t release_memory(void* memory) {
  const cudaError_t error = release(memory);
  if (error == cudaSuccess) std::free(memory);
  return error;
}

cudaError_t launch(const void* kernel, void** arguments) {
  runtime().launches.push_back(kernel_names().at(kernel));
  if (runtime().run) runtime().run(runtime().launches.back(), arguments);
  return cudaSuccess;
}

}  // namespace
}  // namespace yiti::noted

using namespace yiti::noted;

extern "C" {

// What nvcc's code calls.
// NOLINTBEGIN(bugprone-reserved-identifier): CUDA's names
void** __cudaRegisterFatBinary(void*) { return nullptr; }
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char* function, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  kernel_names()[function] = name;
}
unsigned __cudaPushCallConfiguration(dim3, dim3, size_t, CUstream_st*) { return 0; }
cudaError_t __cudaPopCallConfiguration(dim3*, dim3*, size_t*, void*) { return cudaSuccess; }
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = static_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3, dim3, void** arguments, size_t,
                               cudaStream_t) {
  return launch(kernel, arguments);
}
// NOLINTEND(bugprone-reserved-identifier)
cudaError_t cudaLaunchKernel(const void* function, dim3, dim3, void** arguments, size_t,
                             cudaStream_t) {
  return launch(function, arguments);
}

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaError";
}
const char* cudaGetErrorString(cudaError_t) { return "as the test wants"; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::strcpy(properties->name, "no GPU");
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrComputeCapabilityMajor ? 9
           : attribute == cudaDevAttrPageableMemoryAccess ? runtime().pageable_access
                                                          : 0;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *free = *total = 0;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return make(stream); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return release(stream); }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  runtime().calls.push_back(fmt::format("synchronise {}", number(stream)));
  if (capturing.contains(stream)) spoilt.insert(stream);
  return outcome("cudaStreamSynchronize");
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return make(event); }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return release(event); }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  runtime().calls.push_back(fmt::format("record {} on {}", number(event), number(stream)));
  if (capturing.contains(stream)) spoilt.insert(stream);
  return outcome("cudaEventRecord");
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  runtime().calls.push_back(fmt::format("wait for {} on {}", number(event), number(stream)));
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  capturing.insert(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  capturing.erase(stream);
  if (spoilt.erase(stream) > 0) return told(cudaErrorStreamCaptureInvalidated);
  return make(graph);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* run, cudaGraph_t, unsigned long long) {
  return make(run);
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return release(graph); }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t run) { return release(run); }
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }

cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t) {
  const cudaError_t error = outcome("cudaMallocAsync");
  return error == cudaSuccess ? make_memory(memory, bytes) : error;
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  runtime().calls.push_back(fmt::format("free on {}", number(stream)));
  return release_memory(memory);
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  return make_memory(memory, bytes);
}
cudaError_t cudaFreeHost(void* memory) { return release_memory(memory); }
cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  *device = host;
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void*) {
  attributes->type = cudaMemoryTypeUnregistered;
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind,
                            cudaStream_t) {
  std::memcpy(target, source, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t) {
  std::memset(target, value, bytes);
  return cudaSuccess;
}

cudaError_t cudaLibraryLoadData(cudaLibrary_t* library, const void*, cudaJitOption*, void**,
                                unsigned, cudaLibraryOption*, void**, unsigned) {
  const cudaError_t error = outcome("cudaLibraryLoadData");
  return error == cudaSuccess ? make(library) : error;
}
cudaError_t cudaLibraryUnload(cudaLibrary_t library) { return release(library); }
cudaError_t cudaLibraryGetKernel(cudaKernel_t* kernel, cudaLibrary_t, const char* name) {
  *kernel = reinterpret_cast<cudaKernel_t>(++numbers);
  kernel_names()[*kernel] = name;
  return cudaSuccess;
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t*, const void* kernel, void** arguments) {
  return launch(kernel, arguments);
}

}  // extern "C"
