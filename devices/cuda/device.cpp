#include "devices/cuda/device.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <string_view>

#include "devices/cuda/kernels/products.h"

using yiti::devices::fail;
using yiti::devices::cuda::check;
using yiti::devices::cuda::forget;

namespace {

int attribute(cudaDeviceAttr which, int index) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, index), "cudaDeviceGetAttribute");
  return value;
}

int capability_of(int index) {
  const int major = attribute(cudaDevAttrComputeCapabilityMajor, index);
  const int minor = attribute(cudaDevAttrComputeCapabilityMinor, index);
  if (major < 8) {
    fail(YITI_STATUS_UNAVAILABLE, "compute capability {}.{}; wants 8.0 or newer", major, minor);
  }
  return 10 * major + minor;
}

bool waives_row_contract() {
  const char* given = std::getenv("YITI_CUDA_ROW_CONTRACT");
  return given != nullptr && std::string_view(given) == "0";
}

}  // namespace

yiti_device::yiti_device(int index)
    : index_(index),
      target_(yiti::devices::cuda::choose_target(capability_of(index))),
      cache_(yiti::devices::cuda::CodeCache::default_folder()) {
  void* word = nullptr;
  check(cudaHostAlloc(&word, sizeof(int), cudaHostAllocMapped), "cudaHostAlloc");
  fault_word_.reset(static_cast<int*>(word));
  *fault_word_ = 0;
  check(cudaHostGetDevicePointer(&fault_.pointer, word, 0), "cudaHostGetDevicePointer");
  reads_pageable_memory_ = attribute(cudaDevAttrPageableMemoryAccess, index) != 0;
  multiplies_plainly_ = waives_row_contract();
  keeps_rows_ = !multiplies_plainly_ && rows_have_no_place();
  try {
    blas_ = yiti::devices::cuda::Blas::open();
  } catch (const yiti::devices::Failure& failure) {
    blas_problem_ = failure.message;
  }
}

yiti_device::~yiti_device() { forget(cudaDeviceSynchronize()); }

int yiti_device::take_fault() { return std::atomic_ref(*fault_word_).exchange(0); }

bool yiti_device::rows_have_no_place() {
  std::array<int, 32> differences{};
  const cudaStream_t stream = default_stream_.stream.get();
  void* found = allocate(sizeof(differences));
  const int launched = yiti::devices::cuda::launch_row_places(static_cast<int*>(found), stream);
  check(static_cast<cudaError_t>(launched), "compare_row_places");
  check(cudaMemcpyAsync(differences.data(), found, sizeof(differences), cudaMemcpyDeviceToHost,
                        stream),
        "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  free(found);
  return std::ranges::all_of(differences, [](int count) { return count == 0; });
}

yiti::devices::cuda::Library yiti_device::load(const char* file, const std::string& options) const {
  const std::string text = yiti::devices::cuda::program_text(file, options);
  const std::string key =
      fmt::format("{} {}\n{}", target_.name(), yiti::devices::cuda::compiler_version(), text);
  const auto load_code = [](const std::string& code, cudaLibrary_t* library) {
    return cudaLibraryLoadData(library, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0);
  };
  cudaLibrary_t made = nullptr;
  if (const auto kept = cache_.find(key)) {
    const cudaError_t error = load_code(*kept, &made);
    if (error == cudaSuccess) return yiti::devices::cuda::Library(made);
    forget(error);
  }
  const std::string code = yiti::devices::cuda::compile(text, file, target_);
  check(load_code(code, &made), "cudaLibraryLoadData");
  yiti::devices::cuda::Library library(made);
  cache_.keep(key, code);
  return library;
}

cudaLibrary_t yiti_device::library(const char* file, const std::string& options) {
  yiti::devices::cuda::Library& found = libraries_[fmt::format("{} {}", file, options)];
  if (!found) found = load(file, options);
  return found.get();
}

cudaKernel_t yiti_device::kernel(const yiti::devices::KernelId& id) {
  const std::lock_guard lock(mutex_);
  if (const cudaKernel_t* found = kernels_.find(id)) return *found;
  cudaKernel_t kernel = nullptr;
  check(cudaLibraryGetKernel(&kernel, library(id.file, id.options.text()), id.name), id.name);
  return kernels_.add(id, kernel);
}

void yiti_device::add_stream(yiti_stream* stream) {
  const std::lock_guard lock(mutex_);
  streams_.insert(stream);
}

void yiti_device::remove_stream(yiti_stream* stream) {
  // Memory that is freed from here on does not wait for the stream.
  forget(cudaStreamSynchronize(stream->stream.get()));
  const std::lock_guard lock(mutex_);
  streams_.erase(stream);
}

void yiti_device::begin_capture(yiti_stream& stream) {
  const std::lock_guard lock(mutex_);
  check(cudaEventRecord(stream.before_capture.get(), stream.stream.get()), "cudaEventRecord");
  // Relaxed: a kernel may be loaded meanwhile.
  check(cudaStreamBeginCapture(stream.stream.get(), cudaStreamCaptureModeRelaxed),
        "cudaStreamBeginCapture");
  stream.captures = true;
}

yiti::devices::cuda::Graph yiti_device::end_capture(yiti_stream& stream) {
  const std::lock_guard lock(mutex_);
  stream.captures = false;
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream.stream.get(), &graph), "cudaStreamEndCapture");
  return yiti::devices::cuda::Graph(graph);
}

void* yiti_device::allocate(size_t bytes) {
  void* pointer = nullptr;
  cudaError_t error = cudaMallocAsync(&pointer, bytes, allocating_.get());
  if (error == cudaErrorMemoryAllocation) {
    forget(error);
    check(cudaStreamSynchronize(freeing_.get()), "cudaStreamSynchronize");
    error = cudaMallocAsync(&pointer, bytes, allocating_.get());
  }
  check(error, fmt::format("cudaMallocAsync of {} bytes", bytes).c_str());
  check(cudaStreamSynchronize(allocating_.get()), "cudaStreamSynchronize");
  return pointer;
}

void yiti_device::free(void* pointer) {
  const std::lock_guard lock(mutex_);
  for (const yiti_stream* stream : streams_) {
    if (!stream->captures) forget(cudaEventRecord(moment_.get(), stream->stream.get()));
    const cudaEvent_t done = (stream->captures ? stream->before_capture : moment_).get();
    forget(cudaStreamWaitEvent(freeing_.get(), done, 0));
  }
  forget(cudaFreeAsync(pointer, freeing_.get()));
}

namespace yiti::devices::cuda {

Stream make_stream() {
  cudaStream_t made = nullptr;
  check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return Stream(made);
}

Event make_event() {
  cudaEvent_t made = nullptr;
  check(cudaEventCreateWithFlags(&made, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  return Event(made);
}

OnDevice::OnDevice(int index) {
  check(cudaGetDevice(&before_), "cudaGetDevice");
  check(cudaSetDevice(index), "cudaSetDevice");
}

}  // namespace yiti::devices::cuda
