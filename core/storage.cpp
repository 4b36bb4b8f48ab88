#include "core/storage.h"

#include <utility>

namespace yiti {

std::shared_ptr<Storage> Storage::allocate(DevicePtr device, size_t bytes) {
  auto* data = static_cast<std::byte*>(device->allocate(bytes));
  return std::shared_ptr<Storage>(
      new Storage(std::move(device), data, bytes, nullptr, true, false));
}

std::shared_ptr<Storage> Storage::wrap(DevicePtr device, void* data, size_t bytes,
                                       std::shared_ptr<const void> owner, bool read_only) {
  return std::shared_ptr<Storage>(new Storage(std::move(device), static_cast<std::byte*>(data),
                                              bytes, std::move(owner), false, read_only));
}

Storage::Storage(DevicePtr device, std::byte* data, size_t bytes, std::shared_ptr<const void> owner,
                 bool owned, bool read_only)
    : device_(std::move(device)),
      data_(data),
      bytes_(bytes),
      owner_(std::move(owner)),
      owned_(owned),
      read_only_(read_only) {}

Storage::~Storage() {
  if (owned_) device_->deallocate(data_, bytes_);
}

}  // namespace yiti
