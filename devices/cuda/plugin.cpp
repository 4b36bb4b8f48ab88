// The C table of the plug-in: CUDA devices, with every failure as a status and a message.
#include "devices/common/ops.h"
#include "devices/cuda/collectives.h"
#include "devices/cuda/graphs.h"
#include "devices/cuda/stream_backend.h"

namespace yiti::devices::cuda {
namespace {

// Runs f with the device as the thread's, and turns what it throws into a status.
template <class F>
yiti_status on_device(yiti_device* device, yiti_message* message, F f) noexcept {
  return guarded(message, [&] {
    const OnDevice here(device);
    f();
  });
}

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

yiti_status count(int32_t* number, yiti_message* message) {
  return guarded(message, [&] { *number = device_count(); });
}

yiti_status open(int32_t index, yiti_device** device, yiti_message* message) {
  return guarded(message, [&] {
    const int there = device_count();
    if (index < 0 || index >= there) {
      fail(YITI_STATUS_NOT_FOUND, "no device {}; there are {}", index, there);
    }
    const OnDevice here(index);
    *device = new yiti_device(index);
  });
}

void close(yiti_device* device) {
  yiti_message unread;
  on_device(device, &unread, [&] { delete device; });
}

yiti_status query(yiti_device* device, yiti_device_info* info, yiti_message* message) {
  return on_device(device, message, [&] {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device->index()), "cudaGetDeviceProperties");
    int driver = 0;
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    yiti_device_info told{};
    told.struct_size = std::min<uint32_t>(info->struct_size, sizeof(told));
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
    std::memcpy(info, &told, told.struct_size);
  });
}

yiti_status allocate(yiti_device* device, uint64_t bytes, yiti_memory** memory,
                     yiti_message* message) {
  return on_device(device, message, [&] { *memory = new yiti_memory{device->allocate(bytes)}; });
}

void free_memory(yiti_device* device, yiti_memory* memory) {
  yiti_message unread;
  on_device(device, &unread, [&] { device->free(memory->pointer); });
  delete memory;
}

yiti_status copy_to_device(yiti_device* device, yiti_stream* stream, yiti_memory* target,
                           uint64_t offset, const void* source, uint64_t bytes,
                           yiti_message* message) {
  return on_device(device, message, [&] {
    const cudaStream_t queue = device->stream(stream);
    check(cudaMemcpyAsync(address(target, offset), source, bytes, cudaMemcpyHostToDevice, queue),
          "cudaMemcpyAsync");
    // CUDA has read pageable memory when it returns, but memory that it knows may still be read.
    cudaPointerAttributes attributes{};
    check(cudaPointerGetAttributes(&attributes, source), "cudaPointerGetAttributes");
    if (attributes.type != cudaMemoryTypeUnregistered) {
      check(cudaStreamSynchronize(queue), "cudaStreamSynchronize");
    }
  });
}

// Waits for the stream, and throws for a number out of range that one of its ops has met.
void finish(yiti_device* device, cudaStream_t stream) {
  int number = 0;
  void* word = device->fault()->pointer;
  check(cudaMemcpyAsync(&number, word, sizeof(number), cudaMemcpyDeviceToHost, stream),
        "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  if (number == 0) return;
  check(cudaMemsetAsync(word, 0, sizeof(number), stream), "cudaMemsetAsync");
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  report_fault(number);
}

yiti_status copy_to_host(yiti_device* device, yiti_stream* stream, void* target,
                         yiti_memory* source, uint64_t offset, uint64_t bytes,
                         yiti_message* message) {
  return on_device(device, message, [&] {
    const cudaStream_t queue = device->stream(stream);
    check(cudaMemcpyAsync(target, address(source, offset), bytes, cudaMemcpyDeviceToHost, queue),
          "cudaMemcpyAsync");
    finish(device, queue);
  });
}

yiti_status copy_on_device(yiti_device* device, yiti_stream* stream, yiti_memory* target,
                           uint64_t target_offset, yiti_memory* source, uint64_t source_offset,
                           uint64_t bytes, yiti_message* message) {
  return on_device(device, message, [&] {
    StreamBackend(*device, device->stream(stream))
        .copy({target, target_offset}, {source, source_offset}, static_cast<int64_t>(bytes));
  });
}

yiti_status clear(yiti_device* device, yiti_stream* stream, yiti_memory* memory, uint64_t offset,
                  uint64_t bytes, yiti_message* message) {
  return on_device(device, message, [&] {
    StreamBackend(*device, device->stream(stream))
        .clear({memory, offset}, static_cast<int64_t>(bytes));
  });
}

yiti_status stream_create(yiti_device* device, yiti_stream** stream, yiti_message* message) {
  return on_device(device, message, [&] {
    *stream = new yiti_stream;
    device->add_stream(*stream);
  });
}

void stream_destroy(yiti_device* device, yiti_stream* stream) {
  device->remove_stream(stream);
  delete stream;
}

yiti_status stream_synchronise(yiti_device* device, yiti_stream* stream, yiti_message* message) {
  return on_device(device, message, [&] { finish(device, device->stream(stream)); });
}

yiti_status event_create(yiti_device* device, yiti_event** event, yiti_message* message) {
  return on_device(device, message, [&] { *event = new yiti_event; });
}

void event_destroy(yiti_device*, yiti_event* event) { delete event; }

yiti_status event_record(yiti_device* device, yiti_event* event, yiti_stream* stream,
                         yiti_message* message) {
  return on_device(device, message, [&] {
    check(cudaEventRecord(event->event.get(), device->stream(stream)), "cudaEventRecord");
  });
}

yiti_status event_wait(yiti_device* device, yiti_event* event, yiti_stream* stream,
                       yiti_message* message) {
  return on_device(device, message, [&] {
    check(cudaStreamWaitEvent(device->stream(stream), event->event.get(), 0),
          "cudaStreamWaitEvent");
  });
}

yiti_status event_synchronise(yiti_device* device, yiti_event* event, yiti_message* message) {
  return on_device(device, message, [&] {
    check(cudaEventSynchronize(event->event.get()), "cudaEventSynchronize");
  });
}

yiti_status supports(yiti_device* device, const yiti_op_call* call, yiti_op_support* support,
                     yiti_message* message) {
  return guarded(message, [&] {
    StreamBackend backend(*device, device->stream(nullptr));
    plan_op(backend, *call, *support);
  });
}

yiti_status run(yiti_device* device, yiti_stream* stream, const yiti_op_call* call,
                yiti_message* message) {
  return on_device(device, message, [&] {
    StreamBackend backend(*device, device->stream(stream));
    run_op(backend, *call);
  });
}

constexpr yiti_device_plugin kPlugin = {
    .abi_version = YITI_DEVICE_ABI_VERSION,
    .struct_size = sizeof(yiti_device_plugin),
    .name = "cuda",
    .count = count,
    .open = open,
    .close = close,
    .query = query,
    .allocate = allocate,
    .free = free_memory,
    .copy_to_device = copy_to_device,
    .copy_to_host = copy_to_host,
    .copy_on_device = copy_on_device,
    .clear = clear,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .stream_synchronise = stream_synchronise,
    .event_create = event_create,
    .event_destroy = event_destroy,
    .event_record = event_record,
    .event_wait = event_wait,
    .event_synchronise = event_synchronise,
    .supports_op = supports,
    .run_op = run,
    .graphs = &kGraphs,
#ifdef YITI_NCCL
    .collectives = &kCollectives,
#else
    .collectives = nullptr,
#endif
    .weights = nullptr,
};

}  // namespace
}  // namespace yiti::devices::cuda

extern "C" YITI_DEVICE_EXPORT const yiti_device_plugin* yiti_device_plugin_entry() {
  return &yiti::devices::cuda::kPlugin;
}
