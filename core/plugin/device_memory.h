// A plug-in's memory as addresses: what tensors point into.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/plugin/yiti_device.h"

namespace yiti {

/// Allocations of a plug-in device. Each gets a range of addresses that nothing is mapped to: views
/// of tensors are computed on them as everywhere, and a host that reads them by mistake stops at
/// once. Freed memory is kept for reuse, which is safe since all work goes to one stream.
/// Thread-safe.
class DeviceMemory {
 public:
  struct Place {
    yiti_memory* memory;
    uint64_t offset;
  };

  DeviceMemory(const yiti_device_plugin& table, yiti_device* device, size_t cache_bytes)
      : table_(table), device_(device), cache_limit_(cache_bytes) {}
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  /// Throws kResourceExhausted.
  void* allocate(size_t bytes);
  void deallocate(void* address, size_t bytes) noexcept;
  /// What the plug-in knows an address as. Throws kInternal for one that it did not hand out.
  Place locate(const void* address) const;

  size_t live_bytes() const;
  size_t peak_bytes() const;
  void reset_peak();

 private:
  struct Block {
    yiti_memory* memory;
    size_t bytes;
  };
  std::byte* make(size_t bytes);
  void destroy(std::byte* address);
  void drop_cache();

  const yiti_device_plugin& table_;
  yiti_device* device_;
  const size_t cache_limit_;
  mutable std::mutex mutex_;
  std::map<std::byte*, Block> blocks_;              // all there are, by address
  std::map<size_t, std::vector<std::byte*>> free_;  // of those, the ones to use again, by size
  size_t cached_ = 0, live_ = 0, peak_ = 0;
};

}  // namespace yiti
