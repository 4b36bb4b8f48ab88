// A block of memory that tensors share: allocated on a device, or owned by someone else.
#pragma once

#include <cstddef>
#include <memory>

#include "core/device.h"

namespace yiti {

class Storage {
 public:
  /// `bytes` of new memory on `device`.
  static std::shared_ptr<Storage> allocate(DevicePtr device, size_t bytes);
  /// Memory that `owner` keeps alive: a mapped file, an arena, a foreign array. When `read_only`,
  /// in-place ops refuse it.
  static std::shared_ptr<Storage> wrap(DevicePtr device, void* data, size_t bytes,
                                       std::shared_ptr<const void> owner, bool read_only);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  bool read_only() const { return read_only_; }
  const DevicePtr& device() const { return device_; }

 private:
  Storage(DevicePtr device, std::byte* data, size_t bytes, std::shared_ptr<const void> owner,
          bool owned, bool read_only);

  DevicePtr device_;
  std::byte* data_;
  size_t bytes_;
  std::shared_ptr<const void> owner_;
  bool owned_;
  bool read_only_;
};

}  // namespace yiti
