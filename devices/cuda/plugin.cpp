// The C table of the plug-in: CUDA devices, with every failure as a status and a message.
#include "devices/common/ops.h"
#include "devices/common/plugin_table.h"
#include "devices/cuda/collectives.h"
#include "devices/cuda/graphs.h"
#include "devices/cuda/stream_backend.h"

namespace yiti::devices::cuda {
namespace {

int device_count() {
  int number = 0;
  const cudaError_t error = cudaGetDeviceCount(&number);
  if (error == cudaErrorNoDevice) return 0;
  if (error == cudaErrorInsufficientDriver) {
    fail(YITI_STATUS_UNAVAILABLE, "no CUDA driver, or one older than the plug-in: {}",
         error_text(error));
  }
  check(error, "cudaGetDeviceCount");
  return number;
}

// Waits for the stream, and throws for a number out of range that one of its ops has met.
void finish(yiti_device* device, cudaStream_t stream) {
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  report_fault(device->take_fault());
}

struct Functions {
  using Scope = OnDevice;

  static void count(int32_t* number) { *number = device_count(); }

  static void open(int32_t index, yiti_device** device) {
    const int there = device_count();
    if (index < 0 || index >= there) {
      fail(YITI_STATUS_NOT_FOUND, "no device {}; there are {}", index, there);
    }
    const OnDevice here(index);
    *device = new yiti_device(index);
  }

  static void close(yiti_device* device) { delete device; }

  static yiti_device_info info(yiti_device* device) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device->index()), "cudaGetDeviceProperties");
    int driver = 0;
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    yiti_device_info told{};
    told.kind = YITI_DEVICE_KIND_GPU;
    told.flags = device->keeps_rows() ? YITI_DEVICE_ROW_CONTRACT : 0;
    told.compute_units = static_cast<uint32_t>(properties.multiProcessorCount);
    told.alignment = 256;
    told.memory_bytes = total;
    told.free_memory_bytes = free;
    put_text(told.name, properties.name);
    put_text(told.driver,
             fmt::format("CUDA {}.{}, compute capability {}.{}{}", driver / 1000,
                         driver % 1000 / 10, properties.major, properties.minor,
                         device->blas() == nullptr ? ", " + device->blas_problem() : ""));
    return told;
  }

  static void allocate(yiti_device* device, uint64_t bytes, yiti_memory** memory) {
    *memory = new yiti_memory{device->allocate(bytes)};
  }

  static void free(yiti_device* device, yiti_memory* memory) {
    device->free(memory->pointer);
    delete memory;
  }

  static void copy_to_device(yiti_device* device, yiti_stream* stream, yiti_memory* target,
                             uint64_t offset, const void* source, uint64_t bytes) {
    const cudaStream_t queue = device->stream(stream);
    check(cudaMemcpyAsync(address(target, offset), source, bytes, cudaMemcpyHostToDevice, queue),
          "cudaMemcpyAsync");
    // CUDA has staged pageable memory when it returns; what the GPU reads in place may be read
    // later.
    cudaPointerAttributes attributes{};
    check(cudaPointerGetAttributes(&attributes, source), "cudaPointerGetAttributes");
    if (attributes.type != cudaMemoryTypeUnregistered || device->reads_pageable_memory()) {
      check(cudaStreamSynchronize(queue), "cudaStreamSynchronize");
    }
  }

  static void copy_to_host(yiti_device* device, yiti_stream* stream, void* target,
                           yiti_memory* source, uint64_t offset, uint64_t bytes) {
    const cudaStream_t queue = device->stream(stream);
    check(cudaMemcpyAsync(target, address(source, offset), bytes, cudaMemcpyDeviceToHost, queue),
          "cudaMemcpyAsync");
    finish(device, queue);
  }

  static void copy_on_device(yiti_device* device, yiti_stream* stream, yiti_memory* target,
                             uint64_t target_offset, yiti_memory* source, uint64_t source_offset,
                             uint64_t bytes) {
    StreamBackend(*device, device->stream(stream))
        .copy({target, target_offset}, {source, source_offset}, static_cast<int64_t>(bytes));
  }

  static void clear(yiti_device* device, yiti_stream* stream, yiti_memory* memory, uint64_t offset,
                    uint64_t bytes) {
    StreamBackend(*device, device->stream(stream))
        .clear({memory, offset}, static_cast<int64_t>(bytes));
  }

  static void stream_create(yiti_device* device, yiti_stream** stream) {
    *stream = new yiti_stream;
    device->add_stream(*stream);
  }

  static void stream_destroy(yiti_device* device, yiti_stream* stream) {
    device->remove_stream(stream);
    delete stream;
  }

  static void stream_synchronise(yiti_device* device, yiti_stream* stream) {
    finish(device, device->stream(stream));
  }

  static void event_create(yiti_device* /*device*/, yiti_event** event) { *event = new yiti_event; }

  static void event_destroy(yiti_device* /*device*/, yiti_event* event) { delete event; }

  static void event_record(yiti_device* device, yiti_event* event, yiti_stream* stream) {
    check(cudaEventRecord(event->event.get(), device->stream(stream)), "cudaEventRecord");
  }

  static void event_wait(yiti_device* device, yiti_event* event, yiti_stream* stream) {
    check(cudaStreamWaitEvent(device->stream(stream), event->event.get(), 0),
          "cudaStreamWaitEvent");
  }

  static void event_synchronise(yiti_device* /*device*/, yiti_event* event) {
    check(cudaEventSynchronize(event->event.get()), "cudaEventSynchronize");
  }

  static void supports_op(yiti_device* device, const yiti_op_call* call, yiti_op_support* support) {
    StreamBackend backend(*device, device->stream(nullptr));
    plan_op(backend, *call, *support);
  }

  static void run_op(yiti_device* device, yiti_stream* stream, const yiti_op_call* call) {
    StreamBackend backend(*device, device->stream(stream));
    devices::run_op(backend, *call);
  }
};

constexpr yiti_device_plugin kPlugin = [] {
  yiti_device_plugin table = plugin_table<Functions>("cuda");
  table.graphs = &kGraphs;
#ifdef YITI_NCCL
  table.collectives = &kCollectives;
#endif
  return table;
}();

}  // namespace
}  // namespace yiti::devices::cuda

extern "C" YITI_DEVICE_EXPORT const yiti_device_plugin* yiti_device_plugin_entry() {
  return &yiti::devices::cuda::kPlugin;
}
