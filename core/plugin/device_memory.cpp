#include "core/plugin/device_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "core/plugin/plugin_library.h"

namespace yiti {
namespace {

// Up to an eighth of its power of two, so that a freed block fits its like.
size_t rounded(size_t bytes) {
  constexpr size_t kSmallest = 512;
  if (bytes <= kSmallest) return kSmallest;
  const size_t step = std::max(kSmallest, std::bit_floor(bytes) / 8);
  return (bytes + step - 1) / step * step;
}

}  // namespace

DeviceMemory::~DeviceMemory() { drop_cache(); }

void* DeviceMemory::allocate(size_t bytes) {
  const size_t size = rounded(bytes);
  const std::lock_guard lock(mutex_);
  const auto bin = free_.find(size);
  std::byte* address = nullptr;
  if (bin != free_.end() && !bin->second.empty()) {
    address = bin->second.back();
    bin->second.pop_back();
    cached_ -= size;
  } else {
    address = make(size);
  }
  live_ += size;
  peak_ = std::max(peak_, live_);
  return address;
}

void DeviceMemory::deallocate(void* address, size_t bytes) noexcept {
  const size_t size = rounded(bytes);
  auto* block = static_cast<std::byte*>(address);
  const std::lock_guard lock(mutex_);
  live_ -= size;
  try {
    if (cached_ + size <= cache_limit_) {
      free_[size].push_back(block);
      cached_ += size;
      return;
    }
  } catch (...) {  // no room to note it
  }
  destroy(block);
}

DeviceMemory::Place DeviceMemory::locate(const void* address) const {
  const auto* wanted = static_cast<const std::byte*>(address);
  const std::lock_guard lock(mutex_);
  auto after = blocks_.upper_bound(const_cast<std::byte*>(wanted));
  if (after != blocks_.begin()) {
    const auto& [first, block] = *--after;
    const auto offset = static_cast<size_t>(wanted - first);
    if (offset <= block.bytes) return {block.memory, offset};
  }
  fail(Code::kInternal, table_.name, "got an address that is not this device's");
}

// Called with the lock, as are the next two.
std::byte* DeviceMemory::make(size_t bytes) {
  const auto ask = [&](yiti_memory*& memory, yiti_message& message) {
    return table_.allocate(device_, bytes, &memory, &message);
  };
  yiti_memory* memory = nullptr;
  yiti_message message{};
  yiti_status status = ask(memory, message);
  if (status == YITI_STATUS_RESOURCE_EXHAUSTED && cached_ > 0) {
    drop_cache();
    status = ask(memory, message);
  }
  if (status != YITI_STATUS_OK) {
    throw_status(status, message, "device",
                 fmt::format("{} has no memory for {} bytes beside {}", table_.name, bytes, live_));
  }
  void* address =
      mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    table_.free(device_, memory);
    fail(Code::kResourceExhausted, table_.name, "no addresses for {} bytes", bytes);
  }
  auto* first = static_cast<std::byte*>(address);
  blocks_[first] = {memory, bytes};
  return first;
}

void DeviceMemory::destroy(std::byte* address) {
  const auto found = blocks_.find(address);
  table_.free(device_, found->second.memory);
  munmap(address, found->second.bytes);
  blocks_.erase(found);
}

void DeviceMemory::drop_cache() {
  for (const auto& [size, addresses] : free_) {
    for (std::byte* address : addresses) destroy(address);
  }
  free_.clear();
  cached_ = 0;
}

size_t DeviceMemory::live_bytes() const {
  const std::lock_guard lock(mutex_);
  return live_;
}

size_t DeviceMemory::peak_bytes() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}

void DeviceMemory::reset_peak() {
  const std::lock_guard lock(mutex_);
  peak_ = live_;
}

}  // namespace yiti
