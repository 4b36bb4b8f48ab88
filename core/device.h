// Where tensors live and ops run. A device belongs to one engine: there is no global one.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "core/isa.h"
#include "core/parallel.h"

namespace yiti {

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
  virtual void copy_to_host(void* target, const void* source, size_t bytes) = 0;
  /// True when the host may read and write the device's pointers.
  virtual bool host_accessible() const = 0;
  virtual ThreadPool& threads() = 0;
  virtual Isa isa() const = 0;
  /// Bytes handed out and not returned, and the most that ever were.
  virtual size_t live_bytes() const = 0;
  virtual size_t peak_bytes() const = 0;
  virtual void reset_peak() = 0;
};

using DevicePtr = std::shared_ptr<Device>;

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
