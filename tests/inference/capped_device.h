// A CPU device that refuses to hand out more than it was given.
#pragma once

#include "core/device.h"
#include "core/error.h"

namespace yiti {

class CappedDevice final : public Device {
 public:
  CappedDevice(DevicePtr device, size_t most) : device_(std::move(device)), most_(most) {}

  std::string_view kind() const override { return device_->kind(); }
  void* allocate(size_t bytes) override {
    if (bytes > most_ || live_bytes() > most_ - bytes) {
      fail(Code::kResourceExhausted, "device", "{} bytes of {}", bytes, most_);
    }
    return device_->allocate(bytes);
  }
  void deallocate(void* pointer, size_t bytes) noexcept override {
    device_->deallocate(pointer, bytes);
  }
  void copy_from_host(void* target, const void* source, size_t bytes) override {
    device_->copy_from_host(target, source, bytes);
  }
  void copy_to_host(void* target, const void* source, size_t bytes) override {
    device_->copy_to_host(target, source, bytes);
  }
  void copy_elements(void* target, const Tensor& source) override {
    device_->copy_elements(target, source);
  }
  void clear(void* target, size_t bytes) override { device_->clear(target, bytes); }
  DevicePtr host() override { return shared_from_this(); }
  bool host_accessible() const override { return device_->host_accessible(); }
  ThreadPool& threads() override { return device_->threads(); }
  Isa isa() const override { return device_->isa(); }
  size_t live_bytes() const override { return device_->live_bytes(); }
  size_t peak_bytes() const override { return device_->peak_bytes(); }
  void reset_peak() override { device_->reset_peak(); }

 private:
  DevicePtr device_;
  size_t most_;
};

}  // namespace yiti
