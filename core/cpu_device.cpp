// The CPU device: 64-byte aligned memory that stays with the device, so that a training step's
// activations are the same pages step after step. Large blocks lie on huge pages.
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "core/device.h"
#include "core/error.h"
#include "core/page_regions.h"
#include "core/strided_copy.h"

namespace yiti {
namespace {

// From here on, blocks come from regions. Sanitizers want each block from malloc, to see its ends.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kLargeBlock = SIZE_MAX;
#else
constexpr size_t kLargeBlock = size_t{64} << 10;
#endif

// Small sizes are rounded up to an eighth of their power of two, so that a freed block fits its
// like.
size_t rounded(size_t bytes) {
  if (bytes <= 64) return 64;
  const size_t step =
      bytes >= kLargeBlock ? PageRegions::kUnit : std::max<size_t>(64, std::bit_floor(bytes) / 8);
  return (bytes + step - 1) / step * step;
}

class CpuDevice final : public Device {
 public:
  CpuDevice(const CpuOptions& options, Isa isa)
      : threads_(options.threads), isa_(isa), cache_limit_(options.cache_bytes) {}

  ~CpuDevice() override {
    for (auto& [size, blocks] : free_) {
      for (void* block : blocks) std::free(block);
    }
  }

  std::string_view kind() const override { return "cpu"; }

  void* allocate(size_t bytes) override {
    const size_t size = rounded(bytes);
    const std::lock_guard lock(mutex_);
    live_ += size;
    peak_ = std::max(peak_, live_);
    void* block = size < kLargeBlock ? take_small(size) : regions_.take(size);
    if (block == nullptr) {
      live_ -= size;
      fail(Code::kResourceExhausted, "cpu", "no memory for {} bytes", bytes);
    }
    return block;
  }

  void deallocate(void* pointer, size_t bytes) noexcept override {
    const size_t size = rounded(bytes);
    const std::lock_guard lock(mutex_);
    live_ -= size;
    if (size >= kLargeBlock) return regions_.give_back(pointer, size, cache_limit_);
    try {
      if (cached_ + size > cache_limit_) return std::free(pointer);
      free_[size].push_back(pointer);
      cached_ += size;
    } catch (...) {
      std::free(pointer);
    }
  }

  void copy_from_host(void* target, const void* source, size_t bytes) override {
    if (bytes > 0) std::memcpy(target, source, bytes);
  }
  void copy_to_host(void* target, const void* source, size_t bytes) override {
    if (bytes > 0) std::memcpy(target, source, bytes);
  }
  void copy_elements(void* target, const Tensor& source) override {
    copy_strided(static_cast<std::byte*>(target), source);
  }
  void clear(void* target, size_t bytes) override {
    if (bytes > 0) std::memset(target, 0, bytes);
  }
  bool host_accessible() const override { return true; }
  DevicePtr host() override { return shared_from_this(); }
  ThreadPool& threads() override { return threads_; }
  Isa isa() const override { return isa_; }
  size_t live_bytes() const override {
    return with_lock([&] { return live_; });
  }
  size_t peak_bytes() const override {
    return with_lock([&] { return peak_; });
  }
  void reset_peak() override {
    with_lock([&] { return peak_ = live_; });
  }

 private:
  template <class F>
  size_t with_lock(F f) const {
    const std::lock_guard lock(mutex_);
    return f();
  }

  void* take_small(size_t size) {
    const auto bin = free_.find(size);
    if (bin == free_.end() || bin->second.empty()) return std::aligned_alloc(64, size);
    void* block = bin->second.back();
    bin->second.pop_back();
    cached_ -= size;
    return block;
  }

  ThreadPool threads_;
  const Isa isa_;
  const size_t cache_limit_;
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;  // small blocks
  size_t cached_ = 0;                          // bytes of these
  PageRegions regions_;
  size_t live_ = 0;
  size_t peak_ = 0;
};

}  // namespace

const Kernel* Device::own_kernel(const Op&, std::span<const Tensor>, const Attrs&, std::string&) {
  return nullptr;
}

std::unique_ptr<DeviceGraph> Device::record(const std::function<void()>&) { return nullptr; }

DevicePtr make_cpu_device(const CpuOptions& options, Isa isa) {
  if (!is_supported(isa)) {
    fail(Code::kUnimplemented, "cpu", "this machine does not run {}", name(isa));
  }
  return std::make_shared<CpuDevice>(options, isa);
}

DevicePtr make_cpu_device(const CpuOptions& options) {
  return make_cpu_device(options, choose_isa());
}

}  // namespace yiti
