// The C table of the plug-in: OpenCL devices, with every failure as a status and a message.
#include <algorithm>
#include <vector>

#include "devices/common/ops.h"
#include "devices/common/plugin_table.h"
#include "devices/common/products.h"
#include "devices/opencl/device.h"

namespace yiti::devices::opencl {
namespace {

bool runs_opencl_1_2(cl_device_id id) {
  const std::string version = device_text(id, CL_DEVICE_VERSION);  // "OpenCL 1.2 …"
  return version.compare(0, 10, "OpenCL 1.2") >= 0 &&
         device_value<cl_bool>(id, CL_DEVICE_AVAILABLE) &&
         device_value<cl_bool>(id, CL_DEVICE_COMPILER_AVAILABLE) &&
         device_value<size_t>(id, CL_DEVICE_MAX_WORK_GROUP_SIZE) >= kGroup;
}

std::vector<cl_device_id> devices() {
  cl_uint count = 0;
  // The loader's own code for "no driver" is CL_PLATFORM_NOT_FOUND_KHR (-1001).
  const cl_int error = clGetPlatformIDs(0, nullptr, &count);
  if (error != CL_SUCCESS || count == 0) {
    fail(YITI_STATUS_UNAVAILABLE, "no OpenCL platform: clGetPlatformIDs: {}", error_name(error));
  }
  std::vector<cl_platform_id> platforms(count);
  check(clGetPlatformIDs(count, platforms.data(), nullptr), "clGetPlatformIDs");
  std::vector<cl_device_id> found;
  for (const cl_platform_id platform : platforms) {
    cl_uint some = 0;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, nullptr, &some) != CL_SUCCESS) continue;
    std::vector<cl_device_id> ids(some);
    check(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, some, ids.data(), nullptr),
          "clGetDeviceIDs");
    std::ranges::copy_if(ids, std::back_inserter(found), runs_opencl_1_2);
  }
  return found;
}

uint32_t kind_of(cl_device_type type) {
  if ((type & CL_DEVICE_TYPE_GPU) != 0) return YITI_DEVICE_KIND_GPU;
  if ((type & CL_DEVICE_TYPE_ACCELERATOR) != 0) return YITI_DEVICE_KIND_ACCELERATOR;
  return (type & CL_DEVICE_TYPE_CPU) != 0 ? YITI_DEVICE_KIND_CPU : YITI_DEVICE_KIND_OTHER;
}

// Throws for a number out of range that an op of the stream has met.
void look_at_fault(yiti_device* device, cl_command_queue queue) {
  const cl_mem word = device->fault()->buffer.get();
  cl_int number = 0;
  check(clEnqueueReadBuffer(queue, word, CL_TRUE, 0, sizeof(number), &number, 0, nullptr, nullptr),
        "clEnqueueReadBuffer");
  if (number == 0) return;
  const cl_int none = 0;
  check(clEnqueueWriteBuffer(queue, word, CL_TRUE, 0, sizeof(none), &none, 0, nullptr, nullptr),
        "clEnqueueWriteBuffer");
  report_fault(number);
}

struct Functions {
  using Scope = NoScope;

  static void count(int32_t* number) { *number = static_cast<int32_t>(devices().size()); }

  static void open(int32_t index, yiti_device** device) {
    const std::vector<cl_device_id> ids = devices();
    if (index < 0 || index >= static_cast<int32_t>(ids.size())) {
      fail(YITI_STATUS_NOT_FOUND, "no device {}; there are {}", index, ids.size());
    }
    *device = new yiti_device(ids[static_cast<size_t>(index)]);
  }

  static void close(yiti_device* device) { delete device; }

  static yiti_device_info info(yiti_device* device) {
    const cl_device_id id = device->id();
    yiti_device_info told{};
    told.kind = kind_of(device_value<cl_device_type>(id, CL_DEVICE_TYPE));
    told.flags = YITI_DEVICE_ROW_CONTRACT;
    told.compute_units = device_value<cl_uint>(id, CL_DEVICE_MAX_COMPUTE_UNITS);
    told.alignment = device_value<cl_uint>(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
    told.memory_bytes = device_value<cl_ulong>(id, CL_DEVICE_GLOBAL_MEM_SIZE);
    put_text(told.name, device_text(id, CL_DEVICE_NAME));
    put_text(told.driver,
             device_text(id, CL_DEVICE_VERSION) + " " + device_text(id, CL_DRIVER_VERSION));
    return told;
  }

  static void allocate(yiti_device* device, uint64_t bytes, yiti_memory** memory) {
    cl_int error = CL_SUCCESS;
    Buffer buffer(clCreateBuffer(device->context(), CL_MEM_READ_WRITE, bytes, nullptr, &error));
    if (error != CL_SUCCESS) {
      const bool lacks = error != CL_INVALID_CONTEXT && error != CL_INVALID_VALUE;
      fail(lacks ? YITI_STATUS_RESOURCE_EXHAUSTED : YITI_STATUS_INTERNAL,
           "clCreateBuffer of {} bytes: {}", bytes, error_name(error));
    }
    *memory = new yiti_memory{std::move(buffer)};
  }

  // OpenCL itself keeps a buffer until the work that uses it is done.
  static void free(yiti_device* /*device*/, yiti_memory* memory) { delete memory; }

  static void copy_to_device(yiti_device* device, yiti_stream* stream, yiti_memory* target,
                             uint64_t offset, const void* source, uint64_t bytes) {
    if (bytes == 0) return;
    check(clEnqueueWriteBuffer(device->queue(stream), target->buffer.get(), CL_TRUE, offset, bytes,
                               source, 0, nullptr, nullptr),
          "clEnqueueWriteBuffer");
  }

  static void copy_to_host(yiti_device* device, yiti_stream* stream, void* target,
                           yiti_memory* source, uint64_t offset, uint64_t bytes) {
    const cl_command_queue queue = device->queue(stream);
    if (bytes > 0) {
      check(clEnqueueReadBuffer(queue, source->buffer.get(), CL_TRUE, offset, bytes, target, 0,
                                nullptr, nullptr),
            "clEnqueueReadBuffer");
    }
    look_at_fault(device, queue);
  }

  static void copy_on_device(yiti_device* device, yiti_stream* stream, yiti_memory* target,
                             uint64_t target_offset, yiti_memory* source, uint64_t source_offset,
                             uint64_t bytes) {
    if (bytes == 0) return;
    QueueBackend(*device, device->queue(stream))
        .copy({target, target_offset}, {source, source_offset}, static_cast<int64_t>(bytes));
  }

  static void clear(yiti_device* device, yiti_stream* stream, yiti_memory* memory, uint64_t offset,
                    uint64_t bytes) {
    if (bytes == 0) return;
    QueueBackend(*device, device->queue(stream))
        .clear({memory, offset}, static_cast<int64_t>(bytes));
  }

  static void stream_create(yiti_device* device, yiti_stream** stream) {
    *stream = new yiti_stream{device->make_queue()};
  }

  static void stream_destroy(yiti_device* /*device*/, yiti_stream* stream) { delete stream; }

  static void stream_synchronise(yiti_device* device, yiti_stream* stream) {
    check(clFinish(device->queue(stream)), "clFinish");
    look_at_fault(device, device->queue(stream));
  }

  static void event_create(yiti_device* /*device*/, yiti_event** event) { *event = new yiti_event; }

  static void event_destroy(yiti_device* /*device*/, yiti_event* event) { delete event; }

  static void event_record(yiti_device* device, yiti_event* event, yiti_stream* stream) {
    cl_event made = nullptr;
    check(clEnqueueMarkerWithWaitList(device->queue(stream), 0, nullptr, &made),
          "clEnqueueMarkerWithWaitList");
    event->event.reset(made);
    check(clFlush(device->queue(stream)), "clFlush");
  }

  static void event_wait(yiti_device* device, yiti_event* event, yiti_stream* stream) {
    if (!event->event) return;
    const cl_event awaited = event->event.get();
    check(clEnqueueBarrierWithWaitList(device->queue(stream), 1, &awaited, nullptr),
          "clEnqueueBarrierWithWaitList");
  }

  static void event_synchronise(yiti_device* /*device*/, yiti_event* event) {
    if (!event->event) return;
    const cl_event awaited = event->event.get();
    check(clWaitForEvents(1, &awaited), "clWaitForEvents");
  }

  static void supports_op(yiti_device* device, const yiti_op_call* call, yiti_op_support* support) {
    QueueBackend backend(*device, device->queue(nullptr));
    plan_op(backend, *call, *support);
  }

  static void run_op(yiti_device* device, yiti_stream* stream, const yiti_op_call* call) {
    const std::lock_guard lock(device->mutex());
    QueueBackend backend(*device, device->queue(stream));
    devices::run_op(backend, *call);
  }
};

// Panels of 16 rows are vectors of a CPU; other devices read rows.
void packed_bytes(yiti_device* device, const yiti_tensor* rows, uint64_t* bytes) {
  *bytes = device->is_cpu() ? bytes_in_panels(Operand(rows)) : 0;
}

template <void (*kMove)(Launcher&, const Operand&, const Operand&)>
void move_weight(yiti_device* device, yiti_stream* stream, const yiti_tensor* from,
                 const yiti_tensor* to) {
  const std::lock_guard lock(device->mutex());
  QueueBackend backend(*device, device->queue(stream));
  Launcher run(backend, Launcher::Mode::kRuns, {}, 0);
  kMove(run, Operand(from), Operand(to));
}

constexpr yiti_weights kWeights = {
    .struct_size = sizeof(yiti_weights),
    .reserved = 0,
    .packed_bytes = Entry<NoScope, &packed_bytes>::call,
    .pack = Entry<NoScope, &move_weight<pack_weight>>::call,
    .unpack = Entry<NoScope, &move_weight<unpack_weight>>::call,
};

constexpr yiti_device_plugin kPlugin = [] {
  yiti_device_plugin table = plugin_table<Functions>("opencl");
  table.weights = &kWeights;
  return table;
}();

}  // namespace
}  // namespace yiti::devices::opencl

extern "C" YITI_DEVICE_EXPORT const yiti_device_plugin* yiti_device_plugin_entry() {
  return &yiti::devices::opencl::kPlugin;
}
