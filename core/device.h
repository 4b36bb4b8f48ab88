// Where tensors live and ops run. A device belongs to one engine: there is no global one.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/isa.h"
#include "core/parallel.h"

namespace yiti {

class Attrs;
class Device;
class Op;
class Tensor;
struct Kernel;

using DevicePtr = std::shared_ptr<Device>;

/// Work that a device has recorded, on memory that must outlive it.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  /// Gives all of it to the device, to run with what its memory then holds.
  virtual void launch() = 0;
};

/// Memory and execution of one device. Allocation is thread-safe.
class Device : public std::enable_shared_from_this<Device> {
 public:
  virtual ~Device() = default;
  /// "cpu", …: selects an op's kernels.
  virtual std::string_view kind() const = 0;
  /// Memory aligned to 64 bytes, not cleared. Throws kResourceExhausted.
  virtual void* allocate(size_t bytes) = 0;
  virtual void deallocate(void* pointer, size_t bytes) noexcept = 0;
  virtual void copy_from_host(void* target, const void* source, size_t bytes) = 0;
  /// Waits for the work that makes `source`.
  virtual void copy_to_host(void* target, const void* source, size_t bytes) = 0;
  /// Writes the elements of `source`, a tensor of this device with any strides, to `target` on the
  /// device, in row-major order.
  virtual void copy_elements(void* target, const Tensor& source) = 0;
  /// Sets memory of the device to zero bytes.
  virtual void clear(void* target, size_t bytes) = 0;
  /// True when the host may read and write the device's pointers.
  virtual bool host_accessible() const = 0;
  /// A device whose memory the host reads and writes: itself, where that is so.
  virtual DevicePtr host() = 0;
  /// The kernel by which the device itself runs an op on these inputs, or null with the reason in
  /// `why`. Of use where has_own_kernels(); other devices run the kernels of op declarations.
  virtual const Kernel* own_kernel(const Op& op, std::span<const Tensor> in, const Attrs& attrs,
                                   std::string& why);
  virtual bool has_own_kernels() const { return false; }
  /// What `work` gives to the device, recorded instead of run; null where the device does not
  /// record.
  virtual std::unique_ptr<DeviceGraph> record(const std::function<void()>& work);
  /// Waits until all work that was given to the device is done. Throws what went wrong in it.
  virtual void synchronise() {}
  virtual ThreadPool& threads() = 0;
  virtual Isa isa() const = 0;
  /// Bytes handed out and not returned, and the most that ever were.
  virtual size_t live_bytes() const = 0;
  virtual size_t peak_bytes() const = 0;
  virtual void reset_peak() = 0;
};

struct CpuOptions {
  int threads = 0;  ///< at most this many; 0: one per processor
  /// Bytes of freed memory kept for reuse; what is above goes back to the system.
  size_t cache_bytes = size_t{4} << 30;
};

/// A CPU device with its own thread limit and memory cache.
DevicePtr make_cpu_device(const CpuOptions& options = {});
/// The same with a given instruction set. Throws kUnimplemented where the machine lacks it.
DevicePtr make_cpu_device(const CpuOptions& options, Isa isa);

}  // namespace yiti
