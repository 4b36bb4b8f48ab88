// A CUDA device: its streams, its memory, and the kernels built so far.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "devices/common/handle.h"
#include "devices/common/kernel_cache.h"
#include "devices/cuda/blas.h"
#include "devices/cuda/code_cache.h"
#include "devices/cuda/compiler.h"
#include "devices/cuda/cuda_error.h"

namespace yiti::devices::cuda {

using Stream = Handle<cudaStream_t, &cudaStreamDestroy>;
using Event = Handle<cudaEvent_t, &cudaEventDestroy>;
using Graph = Handle<cudaGraph_t, &cudaGraphDestroy>;
using GraphRun = Handle<cudaGraphExec_t, &cudaGraphExecDestroy>;
using Library = Handle<cudaLibrary_t, &cudaLibraryUnload>;
using HostWord = Handle<int*, &cudaFreeHost>;

Stream make_stream();
Event make_event();

}  // namespace yiti::devices::cuda

struct yiti_memory {
  void* pointer;
};

struct yiti_stream {
  yiti::devices::cuda::Stream stream = yiti::devices::cuda::make_stream();
  /// Happens when the work is done that the stream had before it began to capture.
  yiti::devices::cuda::Event before_capture = yiti::devices::cuda::make_event();
  bool captures = false;
};

struct yiti_event {
  yiti::devices::cuda::Event event = yiti::devices::cuda::make_event();
};

struct yiti_graph {
  yiti::devices::cuda::GraphRun graph;
};

struct yiti_device {
 public:
  /// Made, and deleted, where the device is the thread's (OnDevice).
  explicit yiti_device(int index);
  ~yiti_device();
  yiti_device(const yiti_device&) = delete;
  yiti_device& operator=(const yiti_device&) = delete;

  int index() const { return index_; }
  /// That one, or the default one.
  yiti_stream& of(yiti_stream* given) { return given == nullptr ? default_stream_ : *given; }
  cudaStream_t stream(yiti_stream* given) { return of(given).stream.get(); }
  /// One int of the host's memory: the number of the first op that met a value out of range, or 0.
  yiti_memory* fault() { return &fault_; }
  /// That number, of what a stream has done that was waited for; the word is then 0 again.
  int take_fault();
  /// Whether large products are cuBLASLt's plain ones, with rows rounded to the weight's bfloat16:
  /// where the environment has YITI_CUDA_ROW_CONTRACT=0, to measure what the contract costs.
  bool multiplies_plainly() const { return multiplies_plainly_; }
  /// Whether a row's bits are the same whatever is computed beside it: not with plain products, nor
  /// where the tensor cores were seen to add otherwise for rows at other places.
  bool keeps_rows() const { return keeps_rows_; }
  /// Whether copies may read the host's pageable memory in place, after their calls have returned.
  bool reads_pageable_memory() const { return reads_pageable_memory_; }
  /// Null where there is none, which `blas_problem` explains.
  yiti::devices::cuda::Blas* blas() const { return blas_.get(); }
  const std::string& blas_problem() const { return blas_problem_; }
  /// `name` from kernels/`file`.cl, built with `options` at its first use.
  cudaKernel_t kernel(const yiti::devices::KernelId& id);

  /// Streams that memory may be used on.
  void add_stream(yiti_stream* stream);
  void remove_stream(yiti_stream* stream);
  void begin_capture(yiti_stream& stream);
  yiti::devices::cuda::Graph end_capture(yiti_stream& stream);

  void* allocate(size_t bytes);
  /// Once all streams have done what they were given.
  void free(void* pointer);

 private:
  cudaLibrary_t library(const char* file, const std::string& options);
  bool rows_have_no_place();
  yiti::devices::cuda::Library load(const char* file, const std::string& options) const;

  int index_;
  yiti::devices::cuda::Target target_;
  yiti::devices::cuda::CodeCache cache_;
  std::mutex mutex_;
  yiti_stream default_stream_;
  std::set<yiti_stream*> streams_{&default_stream_};
  // Memory is allocated on a stream that has no other work, and freed on one that waits for all.
  yiti::devices::cuda::Stream allocating_ = yiti::devices::cuda::make_stream();
  yiti::devices::cuda::Stream freeing_ = yiti::devices::cuda::make_stream();
  yiti::devices::cuda::Event moment_ = yiti::devices::cuda::make_event();
  yiti::devices::cuda::HostWord fault_word_;
  yiti_memory fault_{};
  bool multiplies_plainly_ = false, keeps_rows_ = false, reads_pageable_memory_ = false;
  std::string blas_problem_;
  std::unique_ptr<yiti::devices::cuda::Blas> blas_;
  std::map<std::string, yiti::devices::cuda::Library> libraries_;
  yiti::devices::KernelCache<cudaKernel_t> kernels_;
};

namespace yiti::devices::cuda {

/// Makes a device the calling thread's while it lives.
class OnDevice {
 public:
  explicit OnDevice(int index);
  explicit OnDevice(const yiti_device* device) : OnDevice(device->index()) {}
  ~OnDevice() { static_cast<void>(cudaSetDevice(before_)); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int before_ = 0;
};

}  // namespace yiti::devices::cuda
