// An OpenCL device with its context, default queue, and the kernels built so far.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "devices/common/kernel_cache.h"
#include "devices/opencl/cl_error.h"
#include "devices/opencl/handles.h"

struct yiti_memory {
  yiti::devices::opencl::Buffer buffer;
};

struct yiti_stream {
  yiti::devices::opencl::Queue queue;
};

struct yiti_event {
  yiti::devices::opencl::Event event;
};

struct yiti_device {
 public:
  explicit yiti_device(cl_device_id id);

  cl_device_id id() const { return id_; }
  cl_context context() const { return context_.get(); }
  /// Of a stream, or the default one.
  cl_command_queue queue(const yiti_stream* stream) const {
    return stream == nullptr ? queue_.get() : stream->queue.get();
  }
  yiti::devices::opencl::Queue make_queue() const;
  bool has_doubles() const { return has_doubles_; }
  bool is_cpu() const { return is_cpu_; }
  /// One int: the number of the first op that met a value out of range, or 0.
  yiti_memory* fault() { return &fault_; }

  /// Held while a kernel gets its arguments and is enqueued: kernel objects are shared.
  std::mutex& mutex() { return mutex_; }
  /// Built at its first use. With mutex() held.
  cl_kernel kernel(const yiti::devices::KernelId& id);

 private:
  cl_program program(const char* file, const std::string& options);

  cl_device_id id_;
  yiti::devices::opencl::Context context_;
  yiti::devices::opencl::Queue queue_;
  yiti_memory fault_;
  bool has_doubles_, is_cpu_;
  std::string common_options_;
  std::mutex mutex_;
  std::map<std::string, yiti::devices::opencl::Program> programs_;
  yiti::devices::KernelCache<yiti::devices::opencl::Kernel> kernels_;
};

namespace yiti::devices::opencl {

/// A string that a device tells of itself.
std::string device_text(cl_device_id id, cl_device_info what);
template <class T>
T device_value(cl_device_id id, cl_device_info what) {
  T value{};
  check(clGetDeviceInfo(id, what, sizeof(T), &value, nullptr), "clGetDeviceInfo");
  return value;
}

/// Runs the ops' kernels on a queue of the device.
class QueueBackend final : public Backend {
 public:
  QueueBackend(yiti_device& device, cl_command_queue queue) : device_(device), queue_(queue) {}

  bool has_doubles() const override { return device_.has_doubles(); }
  bool wide_vectors() const override { return device_.is_cpu(); }
  yiti_memory* fault() const override { return device_.fault(); }
  void launch(const KernelId& id, const Extent& global, const Extent& local,
              std::span<const Argument> arguments) override;
  void copy(const Place& target, const Place& source, int64_t bytes) override;
  void clear(const Place& target, int64_t bytes) override;

 private:
  yiti_device& device_;
  cl_command_queue queue_;
};

}  // namespace yiti::devices::opencl
